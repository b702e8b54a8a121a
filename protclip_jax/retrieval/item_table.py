"""Item metadata of an index: the schema of its Arrow files, and items as dictionaries."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow
import pyarrow.compute

from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.record import (
    PREFIXES,
    PROPERTIES,
    SOURCES,
    UNKNOWN_SOURCE,
    Feature,
    Record,
    ec_numbers,
    evidence_codes,
    strip_evidence,
)

_TEXT, _NUMBER = pyarrow.string(), pyarrow.int64()
_TEXTS = pyarrow.list_(_TEXT)
_FEATURE = pyarrow.struct([("type", _TEXT), ("start", _NUMBER), ("end", _NUMBER), ("note", _TEXT)])
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)])\.(?: |$)")
SCHEMAS = {
    "protein": pyarrow.schema(
        {
            "id": _TEXT,
            "name": _TEXT,
            "length": _NUMBER,
            "source": _TEXT,
            "sequence": _TEXT,
            "function": _TEXT,
            "location": _TEXT,
            "similarity": _TEXT,
            "features": pyarrow.list_(_FEATURE),
            "entry_name": _TEXT,
            "organism": _TEXT,
            "taxon": _NUMBER,
            "existence": _NUMBER,
            "genes": _TEXTS,
            "ec": _TEXTS,
            "go": _TEXTS,
            "evidence": _TEXTS,
        }
    ),
    "label": pyarrow.schema({"id": _TEXT, "name": _TEXT, "source": _TEXT, "prompts": _TEXTS}),
}
"""Arrow schemas by modality.

A protein's `length` is 0 and its `sequence` '' if the input lacks them; `evidence` has one text per
property and code, such as `function ECO:0000269`.
"""
ADDED = {
    2: ("entry_name", "organism", "taxon", "existence", "genes", "ec", "go"),
    3: ("evidence",),
}
"""Maps a format version to the columns of proteins that it added."""
_UNKNOWN = {_TEXT: "", _NUMBER: 0, _TEXTS: []}
LINE_LETTERS = 120
"""Maximum length of a property's text in a list of hits, in characters."""


def completed(table: pyarrow.Table, modality: str) -> pyarrow.Table:
    """Adds the columns that an older format version lacks, filled with unknown values.

    Raises:
      ValueError: the columns do not match any version.
    """
    schema = SCHEMAS[modality]
    if table.schema.remove_metadata() == schema:
        return table
    older = [pyarrow.schema(list(map(schema.field, names))) for names in _older(schema)]
    if modality != "protein" or table.schema.remove_metadata() not in older:
        raise ValueError(f"unexpected columns for {modality} items")
    for name in schema.names[len(table.column_names) :]:
        kind = schema.field(name).type
        table = table.append_column(
            name, pyarrow.repeat(pyarrow.scalar(_UNKNOWN[kind], kind), len(table))
        )
    return table


def _older(schema: pyarrow.Schema) -> Iterator[list[str]]:
    """Yields the columns of proteins in each earlier version."""
    for version in ADDED:
        later = {name for added, names in ADDED.items() if added >= version for name in names}
        yield [name for name in schema.names if name not in later]


def protein_item(
    id: str,
    *,
    name: str = "",
    length: int = 0,
    source: str,
    sequence: str = "",
    record: Record | None = None,
) -> dict:
    """Builds the row of a protein; a record adds its properties, features, organism and genes."""
    item = {
        "id": id,
        "name": strip_evidence(record.name) if record else name,
        "length": length,
        "source": source,
        "sequence": sequence,
    }
    texts = {
        key: strip_evidence(getattr(record, key)) if record else ""
        for key in ("function", "location", "similarity")
    }
    features = (
        [{"type": f.type, "start": f.start, "end": f.end, "note": f.note} for f in record.features]
        if record
        else []
    )
    return item | texts | {"features": features} | _identity(record)


def _identity(record: Record | None) -> dict:
    """The columns with entry name, organism, genes, EC numbers, GO ids and evidence."""
    if record is None:
        added = [name for names in ADDED.values() for name in names]
        return {name: _UNKNOWN[SCHEMAS["protein"].field(name).type] for name in added}
    numbers = {"taxon": record.taxon, "existence": record.existence}
    lists = {"genes": list(record.genes), "ec": list(ec_numbers(record)), "go": list(record.go)}
    codes = evidence_codes(record).items()
    lists["evidence"] = [f"{name} {code}" for name, own in codes for code in own]
    return {"entry_name": record.entry_name, "organism": record.organism} | numbers | lists


def item_record(item: Mapping) -> Record:
    """Converts a protein's row to a record, without evidence tags and alternative names."""
    features = tuple(Feature(**feature) for feature in item["features"])
    return Record(
        item["id"],
        item["entry_name"],
        item["source"] if item["source"] in SOURCES else UNKNOWN_SOURCE,
        item["sequence"],
        item["existence"],
        **{name: item[name] for name in PROPERTIES},
        features=features,
        organism=item["organism"],
        taxon=item["taxon"],
        genes=tuple(item["genes"]),
        go=tuple(item["go"]),
    )


def first_line(text: str) -> str:
    """The first sentence of a text, truncated at a word boundary to at most `LINE_LETTERS`."""
    sentence = _SENTENCE_END.split(text, maxsplit=1)[0]
    if len(sentence) <= LINE_LETTERS:
        return sentence
    return sentence[:LINE_LETTERS].rpartition(" ")[0] + " …"


def label_item(id: str, *, name: str, source: str, prompts: Sequence[str]) -> dict:
    """Builds the row of a label."""
    return {"id": id, "name": name, "source": source, "prompts": list(prompts)}


def item_at(items: pyarrow.Table, row: int) -> dict:
    """The item in a row, with all columns."""
    return items.slice(row, 1).to_pylist()[0]


def row_of(items: pyarrow.Table, id: str) -> int | None:
    """The row of the item with this id, or None."""
    row = pyarrow.compute.index(items["id"], id).as_py()
    return None if row < 0 else row


def id_hashes(items: pyarrow.Table) -> Iterator[int]:
    """Yields `hash64` of every id, in row order."""
    for chunk in items["id"].chunks:
        yield from map(hash64, chunk.to_pylist())


def property_contents(item: Mapping) -> dict[str, str]:
    """The known properties of a protein's row, in biotext order."""
    return {key: item[key] for key in ("name", "function", "location", "similarity") if item[key]}


def item_biotext(item: Mapping) -> str:
    """The biotext of a protein's row, as in its source record."""
    return " ".join(
        f"{PREFIXES[key]}: {content}" for key, content in property_contents(item).items()
    )


def record_batch(rows: Iterable[Mapping], schema: pyarrow.Schema) -> pyarrow.RecordBatch:
    """Converts rows to Arrow; lone surrogates, which are invalid Unicode, become question marks."""
    try:
        return pyarrow.RecordBatch.from_pylist(list(rows), schema=schema)
    except UnicodeEncodeError:
        return pyarrow.RecordBatch.from_pylist(list(map(_encodable, rows)), schema=schema)


def _encodable(value):
    """Replaces the lone surrogates of all texts in a value with question marks."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return list(map(_encodable, value))
    if isinstance(value, Mapping):
        return {key: _encodable(one) for key, one in value.items()}
    return value

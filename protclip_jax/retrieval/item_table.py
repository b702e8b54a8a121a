"""What an index knows of its items besides their vectors: the columns of its Arrow files, and items as dictionaries."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow
import pyarrow.compute

from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.record import PREFIXES, Record, strip_evidence

_TEXT, _NUMBER = pyarrow.string(), pyarrow.int64()
_FEATURE = pyarrow.struct([("type", _TEXT), ("start", _NUMBER), ("end", _NUMBER), ("note", _TEXT)])
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
        }
    ),
    "label": pyarrow.schema({"id": _TEXT, "name": _TEXT, "source": _TEXT, "prompts": pyarrow.list_(_TEXT)}),
}
"""By what an index holds. A protein's `length` is 0 and its `sequence` '' where the input did not tell them."""


def protein_item(
    id: str, *, name: str = "", length: int = 0, source: str, sequence: str = "", record: Record | None = None
) -> dict:
    """The row of a protein; a record adds its properties and features."""
    item = {
        "id": id,
        "name": strip_evidence(record.name) if record else name,
        "length": length,
        "source": source,
        "sequence": sequence,
    }
    texts = {key: strip_evidence(getattr(record, key)) if record else "" for key in ("function", "location", "similarity")}
    features = [{"type": f.type, "start": f.start, "end": f.end, "note": f.note} for f in record.features] if record else []
    return item | texts | {"features": features}


def label_item(id: str, *, name: str, source: str, prompts: Sequence[str]) -> dict:
    """The row of a label."""
    return {"id": id, "name": name, "source": source, "prompts": list(prompts)}


def item_at(items: pyarrow.Table, row: int) -> dict:
    """One item, all columns."""
    return items.slice(row, 1).to_pylist()[0]


def row_of(items: pyarrow.Table, id: str) -> int | None:
    """The row of the item of that id, None where there is none."""
    row = pyarrow.compute.index(items["id"], id).as_py()
    return None if row < 0 else row


def id_hashes(items: pyarrow.Table) -> Iterator[int]:
    """`hash64` of every id in the order of the rows."""
    for chunk in items["id"].chunks:
        yield from map(hash64, chunk.to_pylist())


def property_contents(item: Mapping) -> dict[str, str]:
    """The properties of a protein's row that are known, in biotext order."""
    return {key: item[key] for key in ("name", "function", "location", "similarity") if item[key]}


def item_biotext(item: Mapping) -> str:
    """The biotext of a protein's row, as the records it came from have it."""
    return " ".join(f"{PREFIXES[key]}: {content}" for key, content in property_contents(item).items())


def record_batch(rows: Iterable[Mapping], schema: pyarrow.Schema) -> pyarrow.RecordBatch:
    """Rows as Arrow; text that is no Unicode (lone surrogates) is replaced by question marks."""
    try:
        return pyarrow.RecordBatch.from_pylist(list(rows), schema=schema)
    except UnicodeEncodeError:
        sound = [{key: _sound(value) for key, value in row.items()} for row in rows]
        return pyarrow.RecordBatch.from_pylist(sound, schema=schema)


def _sound(value):
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_sound(one) for one in value]
    return {key: _sound(one) for key, one in value.items()} if isinstance(value, dict) else value

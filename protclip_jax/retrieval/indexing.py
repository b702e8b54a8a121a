"""Creates an index or adds to it: writes the part, background, decoys and approximate index."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow
import pyarrow.compute
from jaxtyping import Float32, UInt64

from data_pipelines.common.hashing import hash64
from data_pipelines.common.unique_ids import UniqueIds
from data_pipelines.inputs.labels import Label, LabelSource
from data_pipelines.inputs.model_input import Prepared, Source
from data_pipelines.inputs.record_source import RecordSource
from data_pipelines.inputs.survey import Survey
from data_pipelines.readers.fasta_header import header_record
from protclip_jax.embed.embedding_files import load_part
from protclip_jax.inference.prefixes import first_dimensions
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.calibration import Calibration
from protclip_jax.retrieval.faiss_library import load_faiss
from protclip_jax.retrieval.index_folder import (
    Block,
    Index,
    PartWriter,
    open_items,
    open_vectors,
    publish,
)
from protclip_jax.retrieval.nearest import (
    EXACT_UP_TO,
    RECALL_AT,
    RecallPoint,
    TuningQueries,
    add_rows,
    build_approximate,
    list_count,
    recall_curve,
    sample_rows,
    unit_rows,
)
from protclip_jax.retrieval.scores import DECOYS, background_rows, shuffled
from protclip_jax.retrieval.vector_parts import VectorParts

KINDS = ("auto", "exact", "approximate")
ITEM_QUERIES, TEXT_QUERIES = 256, 128
"""Numbers of items, and of biotexts of items, used as queries to measure recall."""
LABELS_AT_ONCE = 1024
_MAX_GROWTH = 2
"""Maximum ratio of `list_count` to the number of lists; a grown index above it is retrained."""

Encode = Callable[[Sequence[str]], Float32[np.ndarray, "n d"]]


class Addition(NamedTuple):
    """New items of an index: their count, embedding width and blocks."""

    count: int
    width: int
    blocks: Iterator[Block]


def cut(addition: Addition, dimensions: int) -> Addition:
    """Truncates the embeddings of new items to their first dimensions."""
    blocks = ((first_dimensions(vectors, dimensions), rows) for vectors, rows in addition.blocks)
    return Addition(addition.count, dimensions, blocks)


def protein_addition(
    source: Source | RecordSource, survey: Survey, parts: Sequence[Path], *, width: int
) -> Addition:
    """Proteins embedded by `embed_parts`."""
    rows = _protein_rows(source, survey)
    loaded = (load_part(part, "projected") for part in parts)
    blocks = ((part.vectors, list(itertools.islice(rows, len(part.ids)))) for part in loaded)
    return Addition(survey.usable, width, blocks)


def added_hashes(source: Source | RecordSource, survey: Survey) -> UInt64[np.ndarray, " n"]:
    """`hash64` of the id that each usable protein will have in an index, in input order."""
    return np.fromiter((hash64(id) for id, _ in _usable(source, survey)), np.uint64)


def _usable(source: Source | RecordSource, survey: Survey) -> Iterator[tuple[str, Prepared]]:
    names = UniqueIds(survey.id_hashes)
    named = ((names.unique(item.id), item) for item in source.prepared())
    return ((id, item) for id, item in named if not item.fault)


def _protein_rows(source: Source | RecordSource, survey: Survey) -> Iterator[dict]:
    for id, item in _usable(source, survey):
        origin = item.record.source if item.record else source.path.name
        facts = {"length": len(item.text), "source": origin, "sequence": item.text}
        record = item.record or header_record(item.id, item.name, item.text)
        yield item_table.protein_item(id, **facts, record=record)


def label_addition(source: LabelSource, parts: Sequence[Path], *, width: int) -> Addition:
    """Labels embedded by `embed_parts`, each as the normalised mean of its prompts."""
    labels = [label for label in source.labels() if label.prompts]
    names = UniqueIds(np.array([hash64(label.id) for label in labels], np.uint64))
    prompts = (vector for part in parts for vector in load_part(part, "projected").vectors)

    def blocks() -> Iterator[Block]:
        for start in range(0, len(labels), LABELS_AT_ONCE):
            some = labels[start : start + LABELS_AT_ONCE]
            means = [
                np.mean(list(itertools.islice(prompts, len(label.prompts))), axis=0)
                for label in some
            ]
            rows = [_label_row(label, names.unique(label.id), source.path.name) for label in some]
            yield unit_rows(means), rows

    return Addition(len(labels), width, blocks())


def _label_row(label: Label, id: str, origin: str) -> dict:
    return item_table.label_item(id, name=label.name, source=origin, prompts=label.prompts)


def add(
    folder: Path,
    addition: Addition,
    *,
    previous: Index | None,
    facts: Mapping,
    kind: str,
    target: float,
    encode_texts: Encode | None,
    encode_decoys: Encode | None = None,
    unrelated: Sequence[str] = (),
    calibration: Calibration | None = None,
    log: Callable[[str], None],
) -> dict:
    """Writes items as a new part of `previous`, or as a new index; returns the manifest.

    Args:
      facts: `modality`, `checkpoint`, `step` and `encoding` of the manifest.
      kind: one of `KINDS`; with `auto`, an approximate index stays approximate.
      target: recall@10 that an approximate index has to reach.
      encode_texts: embeds biotexts of items to measure recall with; None without a model.
      encode_decoys: embeds decoys; None keeps those of `previous`.
      unrelated: sequences of additional decoys; those in the index are excluded. If none remain,
        those of `previous` are kept.
      calibration: the checkpoint's calibration; None keeps that of `previous`.
      log: prints progress lines.
    """
    generation = previous.manifest["generation"] + 1 if previous else 0
    writer = PartWriter(folder, generation=generation, modality=facts["modality"])
    part = writer.write(addition.blocks, count=addition.count, width=addition.width)
    vectors = VectorParts(
        [*(previous.vectors.parts if previous else ()), open_vectors(folder / part["vectors"])]
    )
    tables = [
        *([previous.items] if previous else []),
        open_items(folder / part["items"], facts["modality"]),
    ]
    items = pyarrow.concat_tables(tables)
    background = writer.write_array(
        "background", vectors.take(background_rows(item_table.id_hashes(items)))
    )
    decoys = previous.manifest.get("decoys") if previous else None
    if decoys is None and encode_decoys is not None and (sequences := decoy_sequences(items)):
        decoys = writer.write_array("decoys", encode_decoys(sequences))
    entrapment = previous.manifest.get("entrapment") if previous else None
    if encode_decoys is not None and (kept := without_items(unrelated, items, log)):
        entrapment = writer.write_array("entrapment", encode_decoys(kept))
    stored = calibration or (previous.calibration if previous else None)
    approximate = None
    if kind == "auto":
        stays = previous is not None and previous.kind == "approximate"
        kind = "approximate" if stays or len(vectors) > EXACT_UP_TO else "exact"
    if kind == "approximate":
        queries = tuning_queries(vectors, items, encode_texts)
        approximate = _approximate(
            writer, vectors, previous, queries=queries, target=target, log=log
        )
    manifest = {
        **facts,
        "metric": "cosine",
        "dimension": vectors.width,
        "count": len(vectors),
        "kind": "approximate" if approximate else "exact",
        "generation": generation,
        "parts": [*(previous.manifest["parts"] if previous else ()), part],
        "background": background,
        "decoys": decoys,
        "entrapment": entrapment,
        # An older calibration may identify the same checkpoint by its parameters alone.
        "calibration": stored._replace(checkpoint=facts["checkpoint"]).as_json()
        if stored
        else None,
        "approximate": approximate,
        "files": previous.manifest["files"] if previous else {},
    }
    publish(folder, manifest)
    return manifest


def decoy_sequences(items: pyarrow.Table) -> list[str]:
    """Shuffles up to `DECOYS` proteins of the index; [] if the index has no sequences."""
    if "sequence" not in items.column_names:
        return []
    rows = sample_rows(len(items), DECOYS, seed=3).tolist()
    sequences = items.select(["sequence"])
    chosen = (item_table.item_at(sequences, row)["sequence"] for row in rows)
    return shuffled(list(filter(None, chosen)))


def without_items(
    sequences: Sequence[str], items: pyarrow.Table, log: Callable[[str], None]
) -> list[str]:
    """The sequences that are not in the index; prints the number of those that are."""
    if not sequences or "sequence" not in items.column_names:
        return list(sequences)
    candidates = pyarrow.array(list(sequences), pyarrow.string())
    is_item = pyarrow.compute.is_in(candidates, value_set=items["sequence"].combine_chunks())
    if count := pyarrow.compute.sum(is_item).as_py():
        log(f"skipped {count:,} of {len(sequences):,} decoys: they are proteins of the index.")
    return candidates.filter(pyarrow.compute.invert(is_item)).to_pylist()


def tuning_queries(
    vectors: VectorParts, items: pyarrow.Table, encode_texts: Encode | None
) -> dict[str, TuningQueries]:
    """Queries for measuring recall: items, which do not find themselves, and biotexts of items.

    Texts occupy another region of the space than proteins, so they may need another number of
    probes.
    """
    rows = sample_rows(len(vectors), ITEM_QUERIES)
    queries = {"items": TuningQueries(vectors.take(rows), rows)}
    if encode_texts is not None and "function" in items.column_names:
        candidates = [
            item_table.item_at(items, row)
            for row in sample_rows(len(items), 4 * TEXT_QUERIES, seed=2).tolist()
        ]
        described = [
            item_table.item_biotext(item)
            for item in candidates
            if len(item_table.property_contents(item)) > 1
        ]
        if described:
            queries["texts"] = TuningQueries(encode_texts(described[:TEXT_QUERIES]), None)
    return queries


def _approximate(
    writer: PartWriter,
    vectors: VectorParts,
    previous: Index | None,
    *,
    queries: Mapping[str, TuningQueries],
    target: float,
    log: Callable[[str], None],
) -> dict:
    """Builds the approximate index, or adds to the previous one, and tunes the number of probes."""
    start = time.perf_counter()
    index = _grown(previous, vectors) or build_approximate(vectors)
    built = time.perf_counter()
    log(
        f"approximate index: {index.nlist:,} lists, {index.pq.M} bytes per vector, built in "
        f"{built - start:.1f} s."
    )
    curve = recall_curve(index, vectors, dict(queries), target=target)
    log(*(f"recall@{RECALL_AT} with {describe_point(point)}" for point in curve))
    reached = curve[-1]
    if min(reached.recall.values()) < target:
        log(
            f"warning: recall stays below {target:g} even when all lists are read; use --kind "
            "exact to find every item."
        )
    sizes = {name: len(some.vectors) for name, some in queries.items()}
    return {
        "file": writer.write_approximate(index),
        "lists": index.nlist,
        "code_bytes": index.pq.M,
        "probes": reached.probes,
        "recall_at": RECALL_AT,
        "recall": reached.recall,
        "queries": sizes,
        "curve": [{"probes": point.probes, "recall": point.recall} for point in curve],
    }


def describe_point(point: RecallPoint) -> str:
    """Formats a point of the recall curve: `8 lists: 0.953 (items), 0.941 (texts)`."""
    return f"{point.probes} lists: " + ", ".join(
        f"{value:.3f} ({name})" for name, value in point.recall.items()
    )


def _grown(previous: Index | None, vectors: VectorParts):
    """The previous approximate index plus the new vectors, in memory; None if it must retrain."""
    if previous is None or previous.approximate is None:
        return None
    if list_count(len(vectors)) > _MAX_GROWTH * previous.approximate.nlist:
        return None
    index = load_faiss().read_index(str(previous.folder / previous.manifest["approximate"]["file"]))
    add_rows(index, vectors)
    return index

"""Reads other records' texts for comparison from an index, a dataset or a library of labels."""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.inputs.labels import SUFFIXES as LABEL_SUFFIXES
from data_pipelines.inputs.labels import LabelSource
from data_pipelines.protanno.dataset_info import STATISTICS
from data_pipelines.protanno.record import PREFIXES, PROPERTIES, property_texts, strip_evidence
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.index_folder import MANIFEST, open_index
from protclip_jax.retrieval.nearest import sample_rows

CANDIDATES = 5_000
"""The maximum number of records or labels whose texts are read."""

Texts = Mapping[str, Sequence[str]]
"""Distinct texts with their prefix, by property."""


def read_texts(path: Path) -> Texts:
    """Reads the texts of at most `CANDIDATES` records or labels, sampled uniformly.

    Args:
      path: an index of proteins or labels, a built dataset, or a file of labels. A label's prompt
        belongs to the property whose prefix it has.

    Raises:
      UserError: the path is none of these, or cannot be read.
    """
    if (path / MANIFEST).is_file():
        return index_texts(open_index(path).items)
    if (path / STATISTICS).is_file():
        return distinct(_of_dataset(path))
    if path.name.lower().removesuffix(".gz").endswith(LABEL_SUFFIXES):
        labels = list(LabelSource(path=path).labels())
        return distinct(_by_prefix(prompt for label in _some(labels) for prompt in label.prompts))
    raise UserError(
        f"cannot read texts from {path}; pass an index, a built dataset, or a file of labels "
        f"({', '.join(LABEL_SUFFIXES)})."
    )


def index_texts(items: pyarrow.Table) -> Texts:
    """The texts of an index's items."""
    names = [name for name in (*PROPERTIES, "prompts") if name in items.column_names]
    shown = items.select(names)
    rows = sample_rows(len(items), CANDIDATES).tolist()
    found = (item_table.item_at(shown, row) for row in rows)
    if "prompts" in names:
        return distinct(_by_prefix(prompt for item in found for prompt in item["prompts"]))
    return distinct(
        (name, f"{PREFIXES[name]}: {content}")
        for item in found
        for name, content in item_table.property_contents(item).items()
    )


def distinct(texts: Iterable[tuple[str, str]]) -> Texts:
    """Groups (property, text) pairs by property and drops duplicates."""
    found: dict[str, dict[str, None]] = {}
    for name, text in texts:
        found.setdefault(name, {})[text] = None
    return {name: list(of_property) for name, of_property in found.items()}


def others_of(own: Mapping[str, str], texts: Texts, count: int) -> dict[str, list[str]]:
    """Up to `count` other texts for each property's own text; deterministic.

    A text that differs from the own one only in case or evidence is left out. The choice is by
    hash, so neither order nor frequency matters.
    """
    chosen = {}
    for name, text in own.items():
        others = [other for other in texts.get(name, ()) if _content(other) != _content(text)]
        chosen[name] = heapq.nsmallest(count, others, key=hash64)
    return chosen


def _content(text: str) -> str:
    return strip_evidence(text).casefold()


def _by_prefix(prompts: Iterable[str]) -> Iterator[tuple[str, str]]:
    for prompt in prompts:
        for name, prefix in PREFIXES.items():
            if prompt.startswith(f"{prefix}: "):
                yield name, prompt


def _of_dataset(path: Path) -> Iterator[tuple[str, str]]:
    # Imported here because TFDS takes a second to import.
    from data_pipelines.protanno.dataset import open_dataset

    splits = open_dataset(path).splits
    chosen = [splits[name].without_features() for name in sorted(splits)]
    ends = np.cumsum([len(split) for split in chosen])
    for place in sample_rows(int(ends[-1]), CANDIDATES).tolist():
        number = int(np.searchsorted(ends, place, side="right"))
        yield from property_texts(chosen[number][place - int(ends[number])]).items()


def _some(labels: Sequence) -> Sequence:
    return [labels[row] for row in sample_rows(len(labels), CANDIDATES).tolist()]

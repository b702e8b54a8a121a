"""Reads embedding files of `python -m protclip_jax.embed` as input of an index."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet

from data_pipelines.common.errors import UserError
from data_pipelines.readers.fasta_header import header_record
from protclip_jax.embed.foreign_files import check_parquet, fixed_width, h5_items, h5_text
from protclip_jax.retrieval.index_folder import Block
from protclip_jax.retrieval.item_table import protein_item
from protclip_jax.retrieval.nearest import unit_rows

ROWS_AT_ONCE, _NUMBERS_AT_ONCE = 1 << 12, 1 << 23
SUFFIXES = (".h5", ".hdf5", ".parquet")
_FACTS = ("checkpoint", "kind", "modality", "dtype", "long_proteins", "max_residues", "overlap")
_FIX = "recreate it with `python -m protclip_jax.embed`"


class EmbeddingInput(NamedTuple):
    """An embedding file: its metadata, ids and embedding width."""

    path: Path
    facts: dict[str, str]
    ids: list[str]
    width: int

    @property
    def encoding(self) -> dict[str, str | int]:
        """How the proteins were encoded, in the form of an index manifest."""
        facts = self.facts
        cut = {"dimensions": self.width} if "dimensions" in facts else {}
        return {
            "dtype": facts["dtype"],
            "long_proteins": facts["long_proteins"],
            "max_residues": int(facts["max_residues"]),
            "overlap": int(facts["overlap"]),
            **cut,
        }

    def blocks(self) -> Iterator[Block]:
        """Yields all vectors, scaled to norm 1, with their items.

        Items have no sequence, and those of HDF5 files no length.
        """
        read = _parquet_blocks if _is_parquet(self.path) else _h5_blocks
        with _report_damage(self.path):
            for ids, lengths, vectors in read(self.path):
                if vectors.shape[1:] != (self.width,):
                    raise ValueError(f"its embeddings do not all have width {self.width}")
                yield unit_rows(vectors), list(map(self._item, ids, lengths))

    def _item(self, id: str, length: int) -> dict:
        return protein_item(
            id, length=length, source=self.path.name, record=header_record(id, "", "")
        )


def open_embeddings(path: Path) -> EmbeddingInput:
    """Opens and validates a file of projected protein embeddings, which may be untrusted.

    Raises:
      UserError: the file is damaged, refers to other files, declares more than it stores, holds
        another kind of embeddings, or has missing or duplicate ids.
    """
    read = _parquet_facts if _is_parquet(path) else _h5_facts
    with _report_damage(path):
        facts, ids, width = read(path)
    if missing := [name for name in _FACTS if name not in facts]:
        raise UserError(
            f"{path} lacks the metadata {', '.join(missing)}; give a file that `python -m "
            "protclip_jax.embed` wrote."
        )
    if wrong := [name for name in ("max_residues", "overlap") if not facts[name].isdecimal()]:
        raise UserError(f"{path} has no number for {' and '.join(wrong)}; {_FIX}.")
    if facts["modality"] != "protein" or facts["kind"] != "projected":
        raise UserError(
            f"{path} contains {facts['kind']} embeddings of {facts['modality']}s, but an index "
            "needs projected embeddings of proteins; create them with `python -m "
            "protclip_jax.embed --include projected`."
        )
    if not ids:
        raise UserError(f"{path} has no embeddings; {_FIX}.")
    if not all(isinstance(id, str) for id in ids):
        raise UserError(f"{path} contains an id that is not text; {_FIX}.")
    if len(set(ids)) < len(ids):
        (twice, _), *_ = Counter(ids).most_common(1)
        raise UserError(f"{path} contains the id {twice} more than once; {_FIX}.")
    return EmbeddingInput(path, facts, ids, width)


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


@contextlib.contextmanager
def _report_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # h5py and pyarrow fail in many ways on untrusted files
        raise UserError(f"{path} is not a valid embedding file ({error}); {_FIX}.") from error


def _parquet_facts(path: Path) -> tuple[dict[str, str], list[str], int]:
    with _opened_parquet(path) as file:
        metadata = file.schema_arrow.metadata or {}
        facts = {
            key.decode(): value.decode()
            for key, value in metadata.items()
            if key != b"ARROW:schema"
        }
        return (
            facts,
            file.read(columns=["id"])["id"].to_pylist(),
            fixed_width(file, name="embedding"),
        )


@contextlib.contextmanager
def _opened_parquet(path: Path) -> Iterator[pyarrow.parquet.ParquetFile]:
    with pyarrow.parquet.ParquetFile(path) as file:
        check_parquet(file, path=path)
        yield file


def _parquet_blocks(path: Path) -> Iterator[tuple[list[str], list[int], np.ndarray]]:
    with _opened_parquet(path) as file:
        width = fixed_width(file, name="embedding")
        for batch in file.iter_batches(max(1, _NUMBERS_AT_ONCE // width)):
            vectors = (
                batch["embedding"]
                .flatten()
                .to_numpy(zero_copy_only=False)
                .reshape(len(batch), width)
            )
            yield batch["id"].to_pylist(), batch["length"].to_pylist(), vectors


def _h5_facts(path: Path) -> tuple[Mapping, list[str], int]:
    with h5py.File(path, "r") as file:
        texts = {name: h5_text(file.attrs, name) for name in (*_FACTS, "dimensions")}
        facts = {name: text for name, text in texts.items() if text is not None}
        items = [(id, dataset.shape[0]) for id, dataset in h5_items(file)]
        widths = sorted({width for _, width in items})
        if len(widths) > 1:
            raise ValueError(
                f"its embeddings have different widths: {' and '.join(map(str, widths))}"
            )
        return facts, [id for id, _ in items], widths[0] if widths else 0


def _h5_blocks(path: Path) -> Iterator[tuple[list[str], list[int], np.ndarray]]:
    with h5py.File(path, "r") as file:
        items = h5_items(file)
        while some := list(itertools.islice(items, ROWS_AT_ONCE)):
            vectors = np.stack([dataset[...] for _, dataset in some])
            yield [id for id, _ in some], [0] * len(some), vectors

"""An index on disk: a folder of vectors, items and a manifest, read through memory maps.

    manifest.json          facts about the index, and its files with sizes and SHA-256
    vectors-K.npy          unit-norm float32 [n, d], one file per addition
    items-K.arrow          ids, names, …, of these vectors, in the same order
    background-K.npy       vectors of a random sample, the reference of margins
    decoys-K.npy           vectors of shuffled proteins, if the checkpoint was not calibrated
    entrapment-K.npy       vectors of unrelated proteins, if some were given
    approximate-K.faiss    IVF-PQ over all vectors of a large index

Files are immutable. Adding items writes new files and then replaces the manifest atomically, so an
interruption leaves either the old or the new index, and programs that have the old one open keep
working.
The SHA-256 of every file is checked on opening, because FAISS and Arrow trust the data they map.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow
from jaxtyping import Float32, Int64

from data_pipelines.common.atomic_write import atomic_path
from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import file_sha256
from data_pipelines.common.json_object import read_json
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.calibration import Calibration
from protclip_jax.retrieval.faiss_library import load_faiss
from protclip_jax.retrieval.nearest import (
    Neighbours,
    approximate_neighbours,
    exact_neighbours,
    exact_neighbours_among,
)
from protclip_jax.retrieval.vector_parts import VectorParts

MANIFEST, FORMAT_VERSION = "manifest.json", 3
READABLE = (1, 2, 3)
"""Readable format versions.

Version 1 has no entry name, organism, taxon, existence, genes, EC numbers and GO ids of proteins;
version 2 has no evidence codes.
"""
MODALITIES = tuple(item_table.SCHEMAS)
_FIX = "recreate it with `python -m protclip_jax.index`"
_FIELDS = {
    "modality": str,
    "checkpoint": str,
    "metric": str,
    "dimension": int,
    "count": int,
    "generation": int,
    "encoding": dict,
    "parts": list,
    "background": str,
    "files": dict,
}

_WRITTEN = re.compile(
    r"((vectors|background|decoys|entrapment)-\d{6,}\.npy|items-\d{6,}\.arrow|approximate-\d{6,}\.faiss)(\.writing)?|manifest\.json\.writing"
)
"""Matches names of files that `PartWriter` and `publish` write, except for the manifest."""

DECOY_SETS = ("decoys", "entrapment")
"""Manifest keys of the files with vectors that no query should find."""

ROWS_A_BATCH = 1 << 13
"""Minimum rows per record batch in item files; every batch adds overhead when an item is read."""

Block = tuple[Float32[np.ndarray, "m d"], list[Mapping]]
"""Some vectors with the rows of their items."""


class Named(Protocol):
    """The part of `ProtCLIP` that identifies files made with it."""

    fingerprint: str

    def is_named_by(self, fingerprint: str) -> bool:
        """Whether a fingerprint identifies this model."""


class Fingerprint(NamedTuple):
    """Replaces a model of which only the fingerprint is known."""

    fingerprint: str

    def is_named_by(self, fingerprint: str) -> bool:
        """Whether the fingerprints are equal."""
        return fingerprint == self.fingerprint


class Index(NamedTuple):
    """An open index.

    Attributes:
      manifest: the content of `manifest.json`.
      approximate: the FAISS index; None if search is exact.
      decoys, entrapment: vectors of shuffled and of unrelated proteins, or None.
      calibration: the checkpoint's calibration when the index was made, or None.
    """

    folder: Path
    manifest: dict
    vectors: VectorParts
    items: pyarrow.Table
    background: Float32[np.ndarray, "b d"]
    approximate: object | None
    decoys: Float32[np.ndarray, "s d"] | None = None
    entrapment: Float32[np.ndarray, "u d"] | None = None
    calibration: Calibration | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def kind(self) -> str:
        """`exact` or `approximate`."""
        return "exact" if self.approximate is None else "approximate"

    def search(
        self,
        queries: Float32[np.ndarray, "q d"],
        k: int,
        *,
        among: Int64[np.ndarray, " m"] | None = None,
    ) -> Neighbours:
        """Finds the k items nearest to each unit-norm query, best first.

        Search is exact if `among` restricts it to some rows.
        """
        if among is not None:
            return exact_neighbours_among(self.vectors, queries, min(k, len(among)), among)
        k = min(k, len(self))
        if self.approximate is None:
            return exact_neighbours(self.vectors, queries, k)
        probes = self.manifest["approximate"]["probes"]
        return approximate_neighbours(self.approximate, self.vectors, queries, k, probes=probes)


def open_index(folder: Path) -> Index:
    """Opens an index and verifies its files; vectors are memory-mapped.

    Raises:
      UserError: the folder is not an index, its format version is unknown, or a file is missing,
        truncated or damaged.
    """
    manifest = read_manifest(folder)
    for name, facts in manifest["files"].items():
        _check(folder / name, facts)
    try:
        vectors = VectorParts(
            [open_vectors(folder / part["vectors"]) for part in manifest["parts"]]
        )
        tables = [
            open_items(folder / part["items"], manifest["modality"]) for part in manifest["parts"]
        ]
        background = open_vectors(folder / manifest["background"])
        decoys, entrapment = (
            open_vectors(folder / manifest[name]) if manifest.get(name) else None
            for name in DECOY_SETS
        )
        approximate = _approximate(folder, manifest)
        table = pyarrow.concat_tables(tables)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
        pyarrow.ArrowException,
    ) as error:
        raise UserError(f"the index {folder} cannot be read ({error}); {_FIX}.") from error
    shape = (manifest["count"], manifest["dimension"])
    widths = {
        vectors.width,
        background.shape[1],
        shape[1],
        *(each.shape[1] for each in (decoys, entrapment) if each is not None),
    }
    if len(vectors) != shape[0] or len(table) != len(vectors) or len(widths) > 1:
        raise UserError(
            f"the index {folder} is inconsistent: its files do not contain {shape[0]} items of "
            f"width {shape[1]}; {_FIX}."
        )
    return Index(
        folder,
        manifest,
        vectors,
        table,
        background,
        approximate,
        decoys,
        entrapment,
        _calibration(folder, manifest),
    )


def _calibration(folder: Path, manifest: Mapping) -> Calibration | None:
    if (stored := manifest.get("calibration")) is None:
        return None
    if not isinstance(stored, dict):
        raise UserError(f"{folder / MANIFEST} is damaged (calibration); {_FIX}.")
    calibration = Calibration.from_json(stored, where=str(folder / MANIFEST), fix=_FIX)
    if calibration.checkpoint != manifest["checkpoint"]:
        raise UserError(
            f"{folder / MANIFEST} is damaged (its calibration belongs to another checkpoint); "
            f"{_FIX}."
        )
    return calibration


def read_manifest(folder: Path) -> dict:
    """Reads and validates the manifest of an index.

    Raises:
      UserError: there is no manifest, it is damaged, or its format version is unknown.
    """
    if not folder.is_dir():
        raise UserError(
            f"the index {folder} does not exist; create it with `python -m protclip_jax.index "
            f"--checkpoint DIR --input PROTEINS --output {folder}`."
        )
    manifest = read_json(folder / MANIFEST, fix=_FIX)
    if manifest.get("format_version") not in READABLE:
        known = f"{', '.join(map(str, READABLE[:-1]))} or {READABLE[-1]}"
        raise UserError(
            f"{folder / MANIFEST} has format_version {manifest.get('format_version')!r}, "
            f"but this program reads {known}; {_FIX}."
        )
    wrong = [name for name, kind in _FIELDS.items() if type(manifest.get(name)) is not kind]
    if not wrong:
        wrong = [name for name in manifest["files"] if Path(name).name != name]
        named = [
            manifest["background"],
            *_named(manifest["parts"], "vectors"),
            *_named(manifest["parts"], "items"),
        ]
        named += _named([manifest["approximate"]], "file") if manifest.get("approximate") else []
        named += [manifest[name] for name in DECOY_SETS if manifest.get(name)]
        wrong += [
            str(name)
            for name in named
            if not isinstance(name, str) or name not in manifest["files"]
        ]
    if wrong or manifest["modality"] not in MODALITIES or not manifest["parts"]:
        raise UserError(
            f"{folder / MANIFEST} is damaged ({', '.join(wrong) or 'modality or parts'}); {_FIX}."
        )
    return manifest


def _named(entries: Iterable[object], what: str) -> list[object]:
    """The file name under a key in each entry of a manifest; None if it has none."""
    return [entry.get(what) if isinstance(entry, Mapping) else None for entry in entries]


def refuse_other_model(
    manifest: Mapping, model: Named, *, folder: Path, step: int | None = None
) -> None:
    """Raises UserError if an index was made with other parameters, vocabulary or settings."""
    if not model.is_named_by(manifest["checkpoint"]):
        made = f" at step {manifest['step']}" if manifest.get("step") is not None else ""
        of_step = f" step {step}" if step is not None else ""
        raise UserError(
            f"the index {folder} was made with other parameters, vocabulary or settings (SHA-256 "
            f"{manifest['checkpoint'][:12]}…{made}) than this checkpoint's{of_step} "
            f"({model.fingerprint[:12]}…), so their vectors cannot be compared; give the "
            f"checkpoint and --step of the index, or {_FIX}."
        )


def _check(path: Path, facts: Mapping) -> None:
    """Raises UserError unless the file has the size and SHA-256 recorded in the manifest."""
    try:
        size = path.stat().st_size
        if size != facts["bytes"]:
            raise UserError(
                f"{path} has {size} bytes instead of {facts['bytes']}; copy the index again, or "
                f"{_FIX}."
            )
        if file_sha256(path) != facts["sha256"]:
            raise UserError(
                f"{path} is damaged: its SHA-256 differs from the one in the manifest; copy the "
                f"index again, or {_FIX}."
            )
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); copy the index again, or {_FIX}."
        ) from error
    except (KeyError, TypeError) as error:
        raise UserError(f"the manifest of {path.parent} is damaged; {_FIX}.") from error


def open_vectors(path: Path) -> Float32[np.ndarray, "n d"]:
    """Memory-maps a file of vectors; raises ValueError unless it holds rows of float32 vectors."""
    vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    if (
        vectors.dtype != np.float32
        or vectors.ndim != 2
        or not vectors.flags.c_contiguous
        or not len(vectors)
    ):
        raise ValueError(f"{path.name} does not contain rows of float32 vectors")
    return vectors


def open_items(path: Path, modality: str) -> pyarrow.Table:
    """Memory-maps a file of items of any version; raises ValueError for unknown columns."""
    table = pyarrow.ipc.open_file(pyarrow.memory_map(str(path))).read_all()
    try:
        return item_table.completed(table, modality)
    except ValueError as error:
        raise ValueError(f"{path.name} has {error}") from error


def _approximate(folder: Path, manifest: Mapping):
    if not (facts := manifest.get("approximate")):
        return None
    faiss = load_faiss()
    index = faiss.read_index(
        str(folder / facts["file"]), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY
    )
    count, width = manifest["count"], manifest["dimension"]
    if (index.ntotal, index.d) != (count, width):
        raise ValueError(
            f"{facts['file']} contains {index.ntotal} vectors of width {index.d}, not {count} "
            f"of width {width}"
        )
    if not 1 <= facts["probes"] <= index.nlist:
        raise ValueError(
            f"{facts['file']} has {index.nlist} lists, but the manifest says to read "
            f"{facts['probes']} of them"
        )
    return index


class PartWriter:
    """Streams the files of a new part to disk; each is written completely or not at all.

    Args:
      generation: number that distinguishes the files of this part from existing ones.
    """

    def __init__(self, folder: Path, *, generation: int, modality: str):
        self.folder, self.generation = folder, generation
        self._schema = item_table.SCHEMAS[modality]

    def name(self, what: str) -> str:
        """The name of a file of this generation, such as `vectors-000003.npy`."""
        suffix = {"items": "arrow", "approximate": "faiss"}.get(what, "npy")
        return f"{what}-{self.generation:06}.{suffix}"

    def write(self, blocks: Iterable[Block], *, count: int, width: int) -> dict:
        """Writes `count` vectors and their items in constant memory; returns the manifest entry.

        Raises:
          UserError: the blocks do not have `count` vectors.
        """
        names = {what: self.name(what) for what in ("vectors", "items")}
        with contextlib.ExitStack() as stack:
            paths = {what: stack.enter_context(self._file(name)) for what, name in names.items()}
            vectors = np.lib.format.open_memmap(
                paths["vectors"], mode="w+", dtype=np.float32, shape=(count, width)
            )
            filled = 0
            with (
                pyarrow.OSFile(str(paths["items"]), "wb") as file,
                pyarrow.ipc.new_file(file, self._schema) as writer,
            ):
                waiting: list[Mapping] = []
                for some, rows in blocks:
                    vectors[filled : filled + len(some)] = some
                    filled += len(some)
                    waiting += rows
                    if len(waiting) >= ROWS_A_BATCH:
                        writer.write_batch(item_table.record_batch(waiting, self._schema))
                        waiting = []
                writer.write_batch(item_table.record_batch(waiting, self._schema))
            if filled != count:
                raise UserError(
                    f"the input has {filled} usable items instead of {count}, so it changed "
                    "during the run; rerun the command."
                )
            vectors.flush()
        return names | {"count": count}

    def _file(self, name: str) -> contextlib.AbstractContextManager[Path]:
        return atomic_path(self.folder / name, partial=self.folder / f"{name}.writing")

    def write_array(self, what: str, array: np.ndarray) -> str:
        """Writes a small array as .npy; returns the file name."""
        with self._file(self.name(what)) as partial, open(partial, "wb") as file:
            np.save(file, array, allow_pickle=False)
        return self.name(what)

    def write_approximate(self, index) -> str:
        """Writes a FAISS index; returns the file name."""
        with self._file(self.name("approximate")) as partial:
            load_faiss().write_index(index, str(partial))
        return self.name("approximate")


def publish(folder: Path, manifest: Mapping) -> None:
    """Replaces the manifest, with the size and SHA-256 of each file; removes unreferenced files."""
    names = [part[what] for part in manifest["parts"] for what in ("vectors", "items")] + [
        manifest["background"]
    ]
    names += [manifest["approximate"]["file"]] if manifest["approximate"] else []
    names += [manifest[name] for name in DECOY_SETS if manifest.get(name)]
    known = manifest.get("files", {})
    files = {name: known.get(name) or _facts(folder / name) for name in names}
    text = json.dumps(
        {"format_version": FORMAT_VERSION, **manifest, "files": files}, indent=2, ensure_ascii=False
    )
    with atomic_path(folder / MANIFEST, partial=folder / f"{MANIFEST}.writing") as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    for path in unnamed_files(folder, names):
        path.unlink()


def _facts(path: Path) -> dict:
    return {"bytes": os.path.getsize(path), "sha256": file_sha256(path)}


def unnamed_files(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """Yields index files whose names are not in `names`: left by an earlier or interrupted run."""
    kept = set(names)
    yield from (
        path for path in folder.iterdir() if _WRITTEN.fullmatch(path.name) and path.name not in kept
    )

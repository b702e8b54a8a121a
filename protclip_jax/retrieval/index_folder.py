"""An index on disk: a folder of vectors, items and a manifest, read through memory maps.

    manifest.json          what the index is, which files belong to it, their sizes and SHA-256
    vectors-K.npy          unit-norm float32 [n, d], a file for each time that items were added
    items-K.arrow          their ids, names, …, in the same order
    background-K.npy       vectors of a random sample, which margins are measured against
    decoys-K.npy           vectors of shuffled proteins, where the checkpoint was not calibrated
    entrapment-K.npy       vectors of unrelated proteins, where some were given
    approximate-K.faiss    IVF-PQ over all vectors, where there are many

No file is ever changed. Adding items writes new files and then replaces the manifest: an index is
the old or the new one whatever happens, and a program that has the old one open goes on with it.
Every file is compared with its SHA-256 before it is read, as FAISS and Arrow trust what they
map.
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
"""Versions of the format. In version 1 proteins had no entry name, organism, taxon, existence,
genes, EC numbers and GO ids; in version 2 no evidence codes."""
MODALITIES = tuple(item_table.SCHEMAS)
_FIX = "make it anew with `python -m protclip_jax.index`"
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
"""Names of files that `PartWriter` and `publish` write, but for the manifest's own."""

JUDGES = ("decoys", "entrapment")
"""What a manifest calls the files of vectors that nothing should find."""

ROWS_A_BATCH = 1 << 13
"""Of the items' files at least: every batch costs a little whenever an item is read."""

Block = tuple[Float32[np.ndarray, "m d"], list[Mapping]]
"""Some vectors and the rows of their items."""


class Named(Protocol):
    """The part of `ProtCLIP` that says whether a file was made with it."""

    fingerprint: str

    def is_named_by(self, fingerprint: str) -> bool:
        """Whether a fingerprint is this model's."""


class Fingerprint(NamedTuple):
    """In the place of a model of which only the fingerprint is known."""

    fingerprint: str

    def is_named_by(self, fingerprint: str) -> bool:
        """Whether the two are the same."""
        return fingerprint == self.fingerprint


class Index(NamedTuple):
    """An open index.

    Attributes:
      manifest: as in `manifest.json`.
      approximate: FAISS' index, None where search is exact.
      decoys, entrapment: vectors of shuffled and of unrelated proteins; None where there are none.
      calibration: as the checkpoint had it when the index was made; None where it had none.
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
        """The k items nearest to each unit-norm query, best first; `among` some rows search is
        exact."""
        if among is not None:
            return exact_neighbours_among(self.vectors, queries, min(k, len(among)), among)
        k = min(k, len(self))
        if self.approximate is None:
            return exact_neighbours(self.vectors, queries, k)
        probes = self.manifest["approximate"]["probes"]
        return approximate_neighbours(self.approximate, self.vectors, queries, k, probes=probes)


def open_index(folder: Path) -> Index:
    """Opens an index; its vectors stay on disk until they are read.

    Raises:
      UserError: the folder is no index, is of another format, or one of its files is missing,
        cut off or damaged.
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
            open_vectors(folder / manifest[name]) if manifest.get(name) else None for name in JUDGES
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
            f"the index {folder} is inconsistent: its files do not hold {shape[0]} items of "
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
            f"{folder / MANIFEST} is damaged (its calibration is of another checkpoint); {_FIX}."
        )
    return calibration


def read_manifest(folder: Path) -> dict:
    """The manifest of an index, its form checked.

    Raises:
      UserError: there is none, it is damaged, or of a newer format.
    """
    if not folder.is_dir():
        raise UserError(f"there is no index {folder}; {_FIX}.")
    manifest = read_json(folder / MANIFEST, fix=_FIX)
    if manifest.get("format_version") not in READABLE:
        known = f"{', '.join(map(str, READABLE[:-1]))} or {READABLE[-1]}"
        raise UserError(
            f"{folder / MANIFEST} has format_version {manifest.get('format_version')!r}, "
            f"this program reads {known}; {_FIX}."
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
        named += [manifest[name] for name in JUDGES if manifest.get(name)]
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
    """What the entries of a manifest call a file of theirs; None where they call it nothing."""
    return [entry.get(what) if isinstance(entry, Mapping) else None for entry in entries]


def refuse_other_model(
    manifest: Mapping, model: Named, *, folder: Path, step: int | None = None
) -> None:
    """Raises UserError where an index was made with another model: other parameters, words or
    settings."""
    if not model.is_named_by(manifest["checkpoint"]):
        made = f" at step {manifest['step']}" if manifest.get("step") is not None else ""
        asked = f" step {step}" if step is not None else ""
        raise UserError(
            f"the index {folder} was made with other parameters, words or settings (SHA-256 "
            f"{manifest['checkpoint'][:12]}…{made}) than this checkpoint's{asked} "
            f"({model.fingerprint[:12]}…): their vectors "
            f"cannot be compared; give the checkpoint and --step of the index, or {_FIX}."
        )


def _check(path: Path, facts: Mapping) -> None:
    """Raises UserError unless the file has the size and the SHA-256 of the manifest."""
    try:
        size = path.stat().st_size
        if size != facts["bytes"]:
            raise UserError(
                f"{path} has {size} bytes and should have {facts['bytes']}; copy the index "
                f"again, or {_FIX}."
            )
        if file_sha256(path) != facts["sha256"]:
            raise UserError(
                f"{path} is damaged: its SHA-256 is not that of the manifest; copy the index "
                f"again, or {_FIX}."
            )
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); copy the index again, or {_FIX}."
        ) from error
    except (KeyError, TypeError) as error:
        raise UserError(f"the manifest of {path.parent} is damaged; {_FIX}.") from error


def open_vectors(path: Path) -> Float32[np.ndarray, "n d"]:
    """The vectors of a file that this program wrote, mapped; raises ValueError for another
    array."""
    vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    if (
        vectors.dtype != np.float32
        or vectors.ndim != 2
        or not vectors.flags.c_contiguous
        or not len(vectors)
    ):
        raise ValueError(f"{path.name} holds no rows of float32 vectors")
    return vectors


def open_items(path: Path, modality: str) -> pyarrow.Table:
    """The items of a file of any version, mapped; raises ValueError where the columns are
    others."""
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
            f"{facts['file']} holds {index.ntotal} vectors of width {index.d}, not {count} "
            f"of width {width}"
        )
    if not 1 <= facts["probes"] <= index.nlist:
        raise ValueError(
            f"{facts['file']} has {index.nlist} lists, of which {facts['probes']} are to be read"
        )
    return index


class PartWriter:
    """Writes vectors and items of a new part as they come; whole or not at all.

    Args:
      generation: distinguishes the files of this part from those that are there.
    """

    def __init__(self, folder: Path, *, generation: int, modality: str):
        self.folder, self.generation = folder, generation
        self._schema = item_table.SCHEMAS[modality]

    def name(self, what: str) -> str:
        """The name of one of the files of this generation: `vectors-000003.npy`."""
        suffix = {"items": "arrow", "approximate": "faiss"}.get(what, "npy")
        return f"{what}-{self.generation:06}.{suffix}"

    def write(self, blocks: Iterable[Block], *, count: int, width: int) -> dict:
        """The manifest's entry for the part, with `count` vectors of a width, in constant
        memory."""
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
                    f"the input holds {filled} items that can be used, not {count}: it was "
                    "changed; run again."
                )
            vectors.flush()
        return names | {"count": count}

    def _file(self, name: str) -> contextlib.AbstractContextManager[Path]:
        return atomic_path(self.folder / name, partial=self.folder / f"{name}.writing")

    def write_array(self, what: str, array: np.ndarray) -> str:
        """Writes a small array as .npy; returns its name."""
        with self._file(self.name(what)) as partial, open(partial, "wb") as file:
            np.save(file, array, allow_pickle=False)
        return self.name(what)

    def write_approximate(self, index) -> str:
        """Writes a FAISS index; returns its name."""
        with self._file(self.name("approximate")) as partial:
            load_faiss().write_index(index, str(partial))
        return self.name("approximate")


def publish(folder: Path, manifest: Mapping) -> None:
    """Replaces the manifest, with the sizes and SHA-256 of all files it names; then removes
    files that nothing names."""
    names = [part[what] for part in manifest["parts"] for what in ("vectors", "items")] + [
        manifest["background"]
    ]
    names += [manifest["approximate"]["file"]] if manifest["approximate"] else []
    names += [manifest[name] for name in JUDGES if manifest.get(name)]
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
    """Files of an index's kinds that are not among the names, left by an earlier generation or a
    run that was killed."""
    kept = set(names)
    yield from (
        path for path in folder.iterdir() if _WRITTEN.fullmatch(path.name) and path.name not in kept
    )

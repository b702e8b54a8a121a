"""Caches embeddings on disk, computed once and shared by all benchmarks, runs and processes.

A folder of immutable blocks, each named by the SHA-256 of its own bytes: a block whose bytes do not
match its name is damaged; it is removed and its contents are computed again. Any file may be
deleted at any time; this only costs its computation.
"""

import contextlib
import hashlib
import io
import itertools
import sys
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float32

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import progress
from protclip_jax.inference.windows import DEFAULT_WINDOWS, Windows

BLOCK_TOKENS = 1 << 17
"""Residues per block, which a kill may lose: minutes of a large model on a CPU.

100,000 proteins make about 250 files.
"""
ABANDONED_SECONDS = 24 * 3600.0
"""A file still being written after this time belongs to a process that was killed."""
_DIGEST = hashlib.sha256().digest_size


class Representer(Protocol):
    """The part of `protclip_jax.inference.ProtCLIP` that is used here."""

    fingerprint: str

    def represent(
        self, sequences: Sequence[str], *, kinds: Sequence[str], windows: Windows
    ) -> Mapping[str, np.ndarray]:
        """Each of `kinds` as float32 [n, D], for clean sequences in their order."""


class CachedEmbedder:
    """Embeds sequences, from the folder or with the model.

    `dtype` is the model's compute type; the fingerprint of its parameters does not include it.
    """

    def __init__(
        self,
        model: Representer,
        folder: Path,
        *,
        kind: str = "mean",
        windows: Windows = DEFAULT_WINDOWS,
        dtype: str = "float32",
    ):
        self._model, self._kind, self._windows = model, kind, windows
        policy = "-".join(map(str, (windows.policy, windows.max_residues, windows.overlap)))
        self.folder = folder / f"{kind}-{dtype}-{policy}-{model.fingerprint}"
        self._seen: set[Path] = set()
        self._positions: dict[bytes, Path] = {}
        for path in self.folder.glob("*.partial"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()

    def __call__(self, sequences: Sequence[str]) -> Float32[np.ndarray, "n D"]:
        """Embeds clean sequences in their order; each distinct one is computed once per folder.

        Raises:
          UserError: an embedding is not finite.
          RunError: the folder cannot be written.
        """
        keys = [hashlib.sha256(sequence.encode("ascii")).digest() for sequence in sequences]
        wanted = dict(zip(keys, sequences, strict=True))
        found = self._stored(wanted.keys())
        if missing := {key: sequence for key, sequence in wanted.items() if key not in found}:
            found |= self._computed(missing)
        return np.stack([found[key] for key in keys]) if keys else np.zeros((0, 0), np.float32)

    def _computed(self, missing: Mapping[bytes, str]) -> dict[bytes, np.ndarray]:
        """Computes and writes block by block; skips what another process does first."""
        found = {}
        with progress(description="embed", unit="proteins", total=len(missing)) as bar:
            for block in _blocks(missing):
                found |= self._stored(block.keys())
                todo = {key: sequence for key, sequence in block.items() if key not in found}
                if todo:
                    vectors = self._model.represent(
                        list(todo.values()), kinds=(self._kind,), windows=self._windows
                    )[self._kind]
                    self._save(list(todo), vectors)
                    found |= zip(todo, vectors, strict=True)
                bar.update(len(block))
        return found

    def _save(self, keys: Sequence[bytes], vectors: Float32[np.ndarray, "n D"]) -> None:
        if not np.isfinite(vectors).all():
            raise UserError(
                f"the model gives a {self._kind} embedding that is not finite; load it with dtype "
                "float32."
            )
        buffer = io.BytesIO()
        np.savez(
            buffer,
            keys=np.frombuffer(b"".join(keys), np.uint8).reshape(-1, _DIGEST),
            vectors=vectors,
        )
        content = buffer.getvalue()
        path = self.folder / f"{hashlib.sha256(content).hexdigest()}.npz"
        with report_disk_errors(path, kept="finished embeddings are kept"):
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, content)

    def _stored(self, wanted: Set[bytes]) -> dict[bytes, np.ndarray]:
        """The vectors of wanted sequences in the folder's intact blocks."""
        for path in sorted(set(self.folder.glob("*.npz")) - self._seen):
            self._seen.add(path)
            self._positions |= dict.fromkeys(_load(path), path)
        found = {}
        for path in sorted({self._positions[key] for key in wanted if key in self._positions}):
            block = _load(path)
            if (
                not block
            ):  # damaged, or deleted since it was first seen; it may reappear under its name
                self._seen.discard(path)
                self._positions = {
                    key: position for key, position in self._positions.items() if position != path
                }
            found |= {key: vector for key, vector in block.items() if key in wanted}
        return found


def _blocks(sequences: Mapping[bytes, str]) -> Iterator[dict[bytes, str]]:
    """Groups consecutive sequences with about `BLOCK_TOKENS` residues together."""
    ends = itertools.accumulate(map(len, sequences.values()))
    for _, group in itertools.groupby(
        zip(sequences.items(), ends, strict=True), key=lambda item: item[1] // BLOCK_TOKENS
    ):
        yield dict(item for item, _ in group)


def _load(path: Path) -> dict[bytes, Float32[np.ndarray, " D"]]:
    """The vectors of a block by key; empty if it is gone, or damaged and thus removed."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    if hashlib.sha256(content).hexdigest() != path.stem:
        print(
            f"warning: {path} is damaged and was removed; its embeddings are computed again.",
            file=sys.stderr,
        )
        path.unlink(missing_ok=True)
        return {}
    with np.load(io.BytesIO(content)) as arrays:
        return dict(zip(map(bytes, arrays["keys"]), arrays["vectors"], strict=True))

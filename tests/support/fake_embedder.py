"""A stand-in for the model in tests of `embed`: vectors that tell which text they are of, at no
cost."""

import hashlib
import json
import pathlib
from unittest import mock

import numpy as np

from protclip_jax.embed import __main__ as embed
from protclip_jax.embed import parts

WIDTHS = {"projected": 4, "mean": 6, "residues": 6}


def vectors(text, kind):
    """float32 [width], or for residues [letters, width]; different for every text."""
    shape = (len(text), WIDTHS[kind]) if kind == "residues" else (WIDTHS[kind],)
    seed = int.from_bytes(
        hashlib.blake2b(f"{kind} {text}".encode(), digest_size=8).digest(), "little"
    )
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class FakeModel:
    """Reads as much of a long protein as the policy says; remembers what it was asked."""

    fingerprint = "f" * 64

    def __init__(self):
        self.calls = []

    def represent(self, sequences, *, kinds, windows, batch_tokens):
        self.calls.append({"sequences": list(sequences), "batch_tokens": batch_tokens})
        read = [sequence[: windows.pieces(len(sequence))[-1].stop] for sequence in sequences]
        made = {}
        for kind in kinds:
            made[kind] = [vectors(text, kind) for text in read]
        return {kind: rows if kind == "residues" else np.stack(rows) for kind, rows in made.items()}

    def encode_texts(self, texts, **_):
        self.calls.append({"texts": list(texts)})
        return np.stack([vectors(text, "projected") for text in texts])


def run(
    model,
    *arguments,
    groups=("protein", "protein_projection", "text", "text_projection"),
    chunk_tokens=40,
):
    """`embed.main` with the fake; returns its exit code. Chunks are small, so that a few
    proteins make several parts."""
    with (
        mock.patch.object(embed.ProtCLIP, "load", return_value=model),
        mock.patch.object(embed.best, "resolve_step", return_value=0),
        mock.patch.object(embed, "stored_groups", return_value=frozenset(groups)),
        mock.patch.object(parts.jax, "default_backend", return_value="cpu"),
        mock.patch.object(parts, "MIN_CHUNK_TOKENS", chunk_tokens),
        mock.patch.object(parts, "MIN_CHUNK_BATCHES", 0),
    ):
        return embed.main(["--checkpoint", "unused", *map(str, arguments)])


def content(path):
    """What an output says: (facts, [(id, length or None, vector)]) of an HDF5 or Parquet file."""
    if pathlib.Path(path).suffix == ".parquet":
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(path)
        facts = {
            key.decode(): value.decode()
            for key, value in table.schema.metadata.items()
            if key != b"ARROW:schema"
        }
        columns = (table[name].to_pylist() for name in ("id", "length", "embedding"))
        return facts, list(zip(*columns, strict=True))
    import h5py

    with h5py.File(path) as file:
        return dict(file.attrs), [
            (item.attrs["original_id"], None, item[...].tolist()) for item in file.values()
        ]


def digest(path):
    """Changes with anything that `content` gives."""
    return hashlib.sha256(json.dumps(content(path), default=str).encode()).hexdigest()

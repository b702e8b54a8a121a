"""A tiny checkpoint with a little of everything to search: for tests of indexes, search and the
server."""

import gzip
from pathlib import Path

import numpy as np

from data_pipelines.protanno.record import biotext
from protclip_jax.checkpoints import metadata
from protclip_jax.checkpoints.parameters import save_params
from protclip_jax.index import __main__ as index
from tests.support import hostile_checkpoint, tiny

LABELS = """id\tname\tdescription
cut\tFUNCTION: abc def.\tFUNCTION: abc def fed.
bind\tFUNCTION: binds fea.\tFUNCTION: ede.
out\tSUBCELLULAR LOCATION: bad.\t
"""


def make_checkpoint(folder: Path) -> Path:
    """A checkpoint with random parameters."""
    metadata.write_metadata(folder, hostile_checkpoint.CONFIG, tiny.text_tokenizer())
    save_params(folder, tiny.params())
    return folder


def write_fasta(path: Path, records) -> Path:
    """Records as FASTA; gzip by the name."""
    text = "".join(f">{record.accession} {record.name}\n{record.sequence}\n" for record in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def make_index(checkpoint: Path, output: Path, **options) -> int:
    """The index command; returns its exit code. Options are named as its flags, True for one
    without a value."""
    given = ["--checkpoint", str(checkpoint), "--output", str(output)]
    for name, value in options.items():
        given += (
            [f"--{name}"]
            if value is True
            else [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
        )
    return index.main(given)


def printed(capsys) -> str:
    """The error that a command has ended with, which must be no traceback."""
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return [line for line in error.splitlines() if line.startswith("error: ")][-1]


def reference_order(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Rows from the highest cosine, by float64 arithmetic."""
    vectors, query = vectors.astype(np.float64), query.astype(np.float64)
    cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    return np.argsort(-cosines, kind="stable")


def texts_of(records) -> list[str]:
    """Their biotexts."""
    return [biotext(record) for record in records]


NASTY = '<img src=x onerror="document.title=1"><b>bold</b> & co'

"""A tiny checkpoint as somebody with bad intentions may change it: whatever they do to a step,
they can seal it again."""

import functools
import json
import pathlib
import shutil
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow
import tensorstore

from protclip_jax.checkpoints import checksums, metadata, parameters
from protclip_jax.checkpoints.parameters import save_params
from protclip_jax.models.initialize import abstract_params
from tests.support import tiny

CONFIG = {
    "model": tiny.CONFIG["model"],
    "tokenizer": {"max_protein_tokens": 128, "max_text_tokens": 64},
    "masking": {"passes": "separate"},
    "loss": {
        "gc": 1.0,
        "bsr": 0.7,
        "mlm": 0.3,
        "pda": 0.0,
        "features": 0.0,
        "mask_duplicates": True,
    },
    "pda": {
        "theta": 0.3,
        "negatives": "within_record",
        "pooling": "segment",
        "prototypes": True,
        "mask_prefix": False,
    },
}
ARRAY = "bsr_head.input.bias"
"""float32 [16]."""


@functools.cache
def params() -> dict:
    """Parameters of the tiny model that take no time to make."""
    return jax.tree.map(
        lambda leaf: np.full(leaf.shape, 0.5, np.float32), abstract_params(tiny.model())
    )


def make(folder: pathlib.Path) -> pathlib.Path:
    """A sound checkpoint with step 0."""
    metadata.write_metadata(folder, CONFIG, tiny.text_tokenizer())
    save_params(folder, jax.tree.map(jnp.asarray, params()))
    return folder


def changed(
    sound: pathlib.Path, folder: pathlib.Path, change: Callable[[pathlib.Path], object]
) -> pathlib.Path:
    """A copy of a checkpoint whose step was changed and sealed."""
    shutil.copytree(sound, folder)
    change(folder / "checkpoints" / "0")
    checksums.write(folder / "checkpoints" / "0")
    parameters._checked.cache_clear()
    return folder


def edit_json(path: pathlib.Path, edit: Callable[[dict], object]) -> None:
    """Changes what a JSON file holds."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def edit_config(folder: pathlib.Path, edit: Callable[[dict], object]) -> None:
    """Changes a checkpoint's config.json and seals it again, the tokenizers as they are now."""
    content = json.loads((folder / "config.json").read_text())
    edit(content)
    metadata.save_sealed(folder, {**content, "tokenizers": metadata.tokenizer_files(folder)})


def database(step: pathlib.Path) -> tensorstore.KvStore:
    """The keys and values that a step's parameters are stored in."""
    base = {"driver": "file", "path": f"{step / 'params'}/"}
    return tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()


def edit_array(step: pathlib.Path, edit: Callable[[dict], dict | bytes]) -> None:
    """Changes the metadata of `ARRAY`."""
    key = f"{ARRAY}/zarr.json".encode()
    content = edit(json.loads(database(step).read(key).result().value))
    database(step).write(
        key, content if isinstance(content, bytes) else json.dumps(content).encode()
    ).result()


def move_root(step: pathlib.Path, folder: pathlib.Path, reference: str) -> None:
    """Moves the file with the root of the database to `folder`/root, and makes the manifest refer
    to it as `reference`.

    A manifest is 4 bytes of magic, its length in 8, version, compression, the content, and its
    CRC-32C. In the content a file is the lengths of its whole path and of its base, a byte each,
    and the path.
    """
    manifest = step / "params" / "manifest.ocdbt"
    content = manifest.read_bytes()
    body = pyarrow.CompressedInputStream(pyarrow.BufferReader(content[14:-4]), "zstd").read()
    position = body.index(b"\x22\x00d/") + 2
    shutil.move(step / "params" / body[position : position + 34].decode(), folder / "root")
    body = (
        body[: position - 2]
        + bytes([len(reference), 0])
        + reference.encode()
        + body[position + 34 :]
    )
    forged = content[:4] + (18 + len(body)).to_bytes(8, "little") + b"\0\0" + body
    manifest.write_bytes(forged + crc32c(forged).to_bytes(4, "little"))


def crc32c(content: bytes) -> int:
    """Castagnoli's checksum, bit by bit."""
    state = 0xFFFFFFFF
    for byte in content:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF

"""Stable hashes of texts and files: the same on every machine, Python version and process."""

import hashlib
from pathlib import Path


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sequence_hash(sequence: str) -> str:
    """The SHA-256, in hex, of `SEQUENCE_LENGTH`: biotrainer's name of a sequence since its
    version 1.0."""
    text = f"{sequence}_{len(sequence)}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def hash64(text: str) -> int:
    """An unsigned 64-bit BLAKE2b hash of the text's UTF-8 bytes."""
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"
    )


def hash32(text: str) -> int:
    """An unsigned 32-bit hash that is never 0, which marks an absent text or an empty slot in a
    batch."""
    return hash32_bytes(text.encode("utf-8", "surrogatepass"))


def hash32_bytes(content: bytes) -> int:
    """`hash32` of bytes as they are."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=4).digest(), "little") or 1

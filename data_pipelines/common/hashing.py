"""Stable hashes of texts and files: the same on every machine, Python version and process."""

import hashlib
from pathlib import Path


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sequence_hash(sequence: str) -> str:
    """Hashes `SEQUENCE_LENGTH` with SHA-256 (hex), biotrainer's sequence id since version 1.0."""
    text = f"{sequence}_{len(sequence)}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def hash64(text: str) -> int:
    """An unsigned 64-bit BLAKE2b hash of the text's UTF-8 bytes."""
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"
    )


def hash32(text: str) -> int:
    """An unsigned 32-bit hash, never 0, which marks an absent text or an empty batch slot."""
    return hash32_bytes(text.encode("utf-8", "surrogatepass"))


def hash32_bytes(content: bytes) -> int:
    """`hash32` of raw bytes."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=4).digest(), "little") or 1

import hashlib

import pytest

from data_pipelines.common import hashing


@pytest.mark.parametrize(("hasher", "size"), [(hashing.hash32, 4), (hashing.hash64, 8)])
def test_hash_is_blake2b_of_utf8(hasher, size):
    for text in ("", "MKT", "Σ protein"):
        digest = hashlib.blake2b(text.encode(), digest_size=size).digest()
        assert hasher(text) == sum(byte << (8 * position) for position, byte in enumerate(digest))


def test_hash32_is_never_zero(monkeypatch):
    class ZeroDigest:
        def __init__(self, data, digest_size):
            self.digest = lambda: bytes(digest_size)

    monkeypatch.setattr(hashlib, "blake2b", ZeroDigest)
    assert hashing.hash32("text") == 1

import io

import pytest

from data_pipelines.readers.streams import pieces as module
from data_pipelines.readers.streams.pieces import TOO_LONG, UNFINISHED, Piece, pieces


def find_end(buffer: bytes, start: int, look_from: int) -> int:
    return buffer.find(b";", look_from) + 1


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
def test_pieces_are_the_stream(monkeypatch, chunk):
    monkeypatch.setattr(module, "_CHUNK_BYTES", chunk)
    cut = list(pieces(io.BytesIO(b"a\nb;;c\n\nd;e"), find_end))
    assert cut == [
        Piece(1, b"a\nb;"),
        Piece(2, b";"),
        Piece(2, b"c\n\nd;"),
        Piece(4, b"e", UNFINISHED),
    ]
    assert list(pieces(io.BytesIO(b"a;"), find_end)) == [Piece(1, b"a;")]
    assert list(pieces(io.BytesIO(b""), find_end)) == []


@pytest.mark.parametrize("chunk", [5, 64, 1000])
def test_a_piece_too_long_is_cut_and_what_follows_is_found(monkeypatch, chunk):
    monkeypatch.setattr(module, "_CHUNK_BYTES", chunk)
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    monkeypatch.setattr(module, "KEPT_BYTES", 10)
    monkeypatch.setattr(module, "_MARK_BYTES", 4)
    stream = b"a\n;" + b"b\n" * 2000 + b";c;" + b"d" * 150
    cut = list(pieces(io.BytesIO(stream), find_end))
    assert cut == [
        Piece(1, b"a\n;"),
        Piece(2, b"b\n" * 5, TOO_LONG),
        Piece(2002, b"c;"),
        Piece(2002, b"d" * 10, TOO_LONG),
    ]

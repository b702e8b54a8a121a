"""Lines of a user's file: numbers, line ends, limits."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.common.errors import UserError
from data_pipelines.readers.streams import numbered_lines as module
from data_pipelines.readers.streams.numbered_lines import decoded, numbered_lines

PATH = Path("x.fasta")


class Trickle(io.RawIOBase):
    """Gives its content a few bytes at a time, as a slow pipe does."""

    def __init__(self, content, sizes):
        self._content, self._sizes = io.BytesIO(content), sizes

    def read(self, size=-1):
        return self._content.read(self._sizes.pop() if self._sizes else size)


@given(
    st.lists(
        st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"", "é".encode(), b"\xef\xbb\xbf"]),
        max_size=30,
    ).map(b"".join),
    st.lists(st.integers(1, 4), max_size=30),
)
def test_lines_do_not_depend_on_how_the_content_arrives(content, sizes):
    # The reference: Python's own rule for bytes, over the whole content at once.
    expected = content.splitlines(keepends=True)
    expected[:1] = [line.removeprefix(b"\xef\xbb\xbf") for line in expected[:1]]
    assert list(numbered_lines(Trickle(content, sizes), PATH)) == list(enumerate(expected, 1))


def test_nul_bytes_name_the_line():
    with pytest.raises(UserError, match="x.fasta, line 3 .*NUL"):
        list(numbered_lines(io.BytesIO(b"a\n\nb\0\n"), PATH))
    with pytest.raises(UserError, match="UTF-16"):
        list(numbered_lines(io.BytesIO(">a\nMKV\n".encode("utf-16")), PATH))


def test_a_line_without_end_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_BYTES", 1 << 14)
    monkeypatch.setattr(module, "_MAX_LINE_BYTES", 1 << 20)

    class Endless(io.RawIOBase):
        given = 0

        def read(self, size=-1):
            self.given += size
            return b"A" * size

    source = Endless()
    with pytest.raises(UserError, match="line 1 is longer than 1 MiB"):
        list(numbered_lines(source, PATH))
    assert source.given < (1 << 20) + (1 << 15)


def test_what_is_not_utf8_names_the_line():
    assert decoded("é".encode(), 7, PATH) == "é"
    with pytest.raises(UserError, match="line 7 .*UTF-8"):
        decoded("é".encode("latin-1"), 7, PATH)

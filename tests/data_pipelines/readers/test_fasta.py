"""FASTA: records, ids, odd layouts, foreign files, and random bytes."""

import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_pipelines.common.errors import UserError
from data_pipelines.readers.fasta import MAX_NAME, read_fasta
from data_pipelines.readers.item import MAX_LETTERS, TOO_LONG, Item


def read(tmp_path, content, name="x.fasta"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_fasta(path))


def test_the_id_is_the_first_word_and_lines_are_joined(tmp_path):
    records = read(tmp_path, ">sp|P1|X first one\nMKV\nLL\n>b\tc\nAC\n")
    assert records == [Item("sp|P1|X", "MKVLL", 1, name="first one"), Item("b", "AC", 4, name="c")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_gives_the_same_records(tmp_path, end):
    content = end.join([">a", "MK", "V", "", "> b", "ac"])
    expected = [Item("a", "MKV", 1), Item("b", "ac", 5)]
    assert read(tmp_path, content) == read(tmp_path, content + end) == expected
    assert read(tmp_path, gzip.compress(content.encode())) == expected


def test_comments_blank_lines_and_a_byte_order_mark_are_no_text(tmp_path):
    assert read(tmp_path, "\ufeff; old style\n\n>a\n;comment\nMK\n\n;more\nV\n") == [
        Item("a", "MKV", 3)
    ]


def test_missing_ids_and_sequences_are_kept_for_the_caller_to_judge(tmp_path):
    assert read(tmp_path, ">\nMK\n>  \n>c\n") == [
        Item("", "MK", 1),
        Item("", "", 3),
        Item("c", "", 4),
    ]


def test_the_description_may_hold_anything(tmp_path):
    # What NCBI joins behind the byte 1 is the header of another entry.
    assert read(tmp_path, b">a caf\xe9 \x01b other\nMK\n") == [
        Item("a", "MK", 1, name="caf\ufffd ")
    ]
    assert len(read(tmp_path, b">a " + b"x" * 5000 + b"\nMK\n")[0].name) == MAX_NAME


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.fasta .*FASTA"),
        (b"\n;only a comment\n", "x.fasta .*FASTA"),
        (b"\nMKV\n>a\nMKV\n", "line 2 is b'MKV'.*'>'"),
        (b"\x89PNG\r\n\x1a\n", "line 1 is"),
        (b">a\nMK\0V\n", "line 2 .*NUL"),
        (b">caf\xe9\nMK\n", "line 1 .*UTF-8"),
        (b">a\nMK\n\xff\xfe\n", "line 3 .*UTF-8"),
        (gzip.compress(b">a\nMKV\n" * 1000, mtime=0)[:-20], "x.fasta .*gzip"),
    ],
)
def test_what_is_no_fasta_is_one_sentence(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, content)


def test_a_long_record_in_one_line_or_many(tmp_path):
    at_limit, above = "A" * MAX_LETTERS, "C" * (MAX_LETTERS + 1)
    wrapped = "\n".join(above[start : start + 60] for start in range(0, len(above), 60))
    records = read(
        tmp_path, f">a\n{at_limit}\n>b\n{above}\n>c {'x' * MAX_LETTERS}\nMK\n>d\n{wrapped}\n"
    )
    assert [(record.id, len(record.text), record.fault) for record in records] == [
        ("a", MAX_LETTERS, ""),
        ("b", 0, TOO_LONG),
        ("c", 2, ""),
        ("d", 0, TOO_LONG),
    ]


PIECES = st.sampled_from(
    [b">", b"\n", b"\r", b";", b" ", b"a", b"MKV", b"\0", b"\xe9", b"\xc3\xa9", b"x" * 20000]
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.lists(PIECES, max_size=40).map(b"".join) | st.binary(max_size=300),
    packed=st.booleans(),
    cut=st.integers(0, 9),
)
def test_random_bytes_give_every_record_or_a_user_error(tmp_path, content, packed, cut):
    given_bytes = gzip.compress(content) if packed else content
    try:
        records = read(tmp_path, given_bytes[: len(given_bytes) - cut] if packed else given_bytes)
    except UserError:
        return
    lines = [line.strip() for line in content.splitlines()]
    starts = [n for n, line in enumerate(lines, 1) if line.startswith(b">")]
    assert [record.line for record in records] == starts
    letters = b"".join(line for line in lines if not line.startswith((b">", b";")))
    assert "".join(record.text for record in records).encode() == letters

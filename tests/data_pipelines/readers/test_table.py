"""Tables: columns, quoting, broken rows."""

import gzip
import re

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.readers.item import MAX_LETTERS, Item
from data_pipelines.readers.table import read_table


def read(tmp_path, content, *, dialect="csv", columns=("sequence", "seq"), id_column=None):
    path = tmp_path / f"x.{dialect}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_table(path, dialect=dialect, columns=columns, id_column=id_column))


def test_the_columns_are_found_by_their_usual_names(tmp_path):
    assert read(tmp_path, "seq,Entry\nMK,P1\n\nAC, P2\n") == [
        Item("P1", "MK", 2),
        Item("P2", "AC", 4),
    ]
    assert read(tmp_path, "sequence,seq\nMK,no\nAC,no\n") == [
        Item("1", "MK", 2),
        Item("2", "AC", 3),
    ]
    chosen = read(tmp_path, "a\tb\tid\nMK\tx\ty\n", dialect="tsv", columns=("a",), id_column="b")
    assert chosen == [Item("x", "MK", 2)]


def test_quoted_fields_hold_commas_and_line_ends_and_lines_are_counted(tmp_path):
    content = '\ufeffid,sequence\r\n"a,\n""b""",MK\r\n"c","A\nC"\r\nd,W'
    expected = [Item('a,\n"b"', "MK", 2), Item("c", "A\nC", 4), Item("d", "W", 6)]
    assert read(tmp_path, content) == read(tmp_path, gzip.compress(content.encode())) == expected


def test_quotation_marks_mean_nothing_in_a_tsv(tmp_path):
    assert read(tmp_path, 'id\tsequence\n"a\tMK\n5"\tAC\n', dialect="tsv") == [
        Item('"a', "MK", 2),
        Item('5"', "AC", 3),
    ]


def test_a_row_of_another_width_is_a_fault_and_the_next_is_read(tmp_path):
    short, good = read(tmp_path, "id,sequence\na\nb,MK\n")
    assert (short.id, short.line) == ("", 2)
    assert re.search("has 1 .*has 2", short.fault)
    assert good == Item("b", "MK", 3)


def test_a_long_field(tmp_path):
    (item,) = read(tmp_path, f"seq\n{'A' * MAX_LETTERS}\n")
    assert len(item.text) == MAX_LETTERS
    with pytest.raises(UserError, match="line 2 .*CSV.*field larger"):
        read(tmp_path, f"seq\n{'A' * (MAX_LETTERS + 1)}\n")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "no column sequence or seq"),
        ("id;sequence\na;MK\n", {}, "sequence or seq; .*: id;sequence"),
        (
            "id,sequence\n",
            {"columns": ("text",)},
            "no column text; .*: id, sequence",
        ),
        ("id,sequence\n", {"id_column": "name"}, "no column name"),
        ('id,sequence\na,"MK\n', {}, "line 2 .*CSV.*quotation marks"),
        ('id,sequence\na,"MK"V\n', {}, "line 2 .*CSV.*quotation marks"),
        (b"id,sequence\na,M\0\n", {}, "line 2 .*NUL"),
        (b"id,sequence\n\xe9,MK\n", {}, "line 2 .*UTF-8"),
        (b"PK\x03\x04\0\0", {}, "x.csv .*ZIP"),
    ],
)
def test_what_is_no_such_table_is_one_sentence(tmp_path, content, options, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, content, **options)

"""One text a line."""

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.readers.item import MAX_LETTERS, TOO_LONG, Item
from data_pipelines.readers.text_lines import read_text_lines


def test_every_line_is_an_item_named_by_its_number(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes("\ufeff one é\r\n\n\ttwo".encode() + b"\n" + b"A" * (MAX_LETTERS + 1))
    expected = [
        Item("1", "one é", 1),
        Item("2", "", 2),
        Item("3", "two", 3),
        Item("4", "", 4, TOO_LONG),
    ]
    assert list(read_text_lines(path)) == expected


def test_what_is_no_text_is_one_sentence(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"a\n\xff\n")
    with pytest.raises(UserError, match="line 2"):
        list(read_text_lines(path))

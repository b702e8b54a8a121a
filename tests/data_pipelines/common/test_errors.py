"""Sentences for users: one line that a terminal shows as it is, and the exit codes of commands."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.common.errors import RunError, UserError, command, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é “x” 中", "plain é “x” 中"),
        (" two\n lines\t\r\n", "two lines"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("a\0b\x7f\u202e\udcff", r"a\x00b\x7f\u202e\udcff"),
    ],
)
def test_a_sentence_is_one_line_that_can_be_printed(text, shown):
    assert str(UserError(text)) == str(RunError(text)) == shown


@given(st.text(st.characters(), max_size=1500) | st.text(max_size=20).map(lambda text: text * 500))
def test_any_text_becomes_a_line_of_limited_length(text):
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= 1000
    line.encode()
    assert one_line(line) == line


def test_a_long_sentence_keeps_both_ends():
    line = one_line("begin " + "x" * 5000 + " end")
    assert line.startswith("begin x")
    assert line.endswith("x end")


def test_errors_travel_between_processes():
    error = pickle.loads(pickle.dumps(UserError("x\n" * 5000)))
    assert str(error) == str(UserError("x\n" * 5000))


@pytest.mark.parametrize(("error", "code"), [(UserError("wrong\x1b[1m"), 2), (RunError("full\x1b[1m"), 1)])
def test_commands_print_one_line_and_end_with_their_code(capsys, error, code):
    @command
    def main():
        raise error

    assert main() == code
    assert capsys.readouterr().err == f"error: {error}\n"

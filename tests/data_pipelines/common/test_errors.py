"""Sentences for users: one line that a terminal shows as it is, and the exit codes of commands."""

import errno
import os
import pickle
import resource
import sys

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


@pytest.mark.parametrize(
    ("error", "code"), [(UserError("wrong\x1b[1m"), 2), (RunError("full\x1b[1m"), 1)]
)
def test_commands_print_one_line_and_end_with_their_code(capsys, error, code):
    @command
    def main():
        raise error

    assert main() == code
    assert capsys.readouterr().err == f"error: {error}\n"


@pytest.mark.parametrize("argument", ["d\udcff/x.fasta", "Prot\udce9ine"])
def test_arguments_that_are_not_utf8_are_refused_before_the_command_begins(capsys, argument):
    @command
    def main(arguments):
        raise AssertionError

    assert main(["--input", argument]) == 2
    assert capsys.readouterr().err.startswith(
        f"error: '{ascii(argument)[1:-1]}' is not UTF-8; type it"
    )


def test_so_are_those_of_the_process(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["program", "\udcff"])
    assert command(lambda arguments=None: 0)() == 2
    assert "is not UTF-8" in capsys.readouterr().err


def too_many(kind, *, cause):
    """An error that a limit of open files has led to, itself or as its cause."""
    known = OSError(errno.EMFILE, os.strerror(errno.EMFILE), "x")
    error = (
        kind("x is damaged; get it anew.")
        if cause
        else kind(f"RESOURCE_EXHAUSTED: {os.strerror(errno.EMFILE)} [24]")
    )
    error.__cause__ = known if cause else None
    return error


@pytest.mark.parametrize("kind", [UserError, RunError, ValueError, OSError])
@pytest.mark.parametrize("cause", [False, True])
def test_a_limit_of_open_files_is_reported_whatever_it_leads_to(capsys, monkeypatch, kind, cause):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    @command
    def main():
        raise too_many(kind, cause=cause)

    assert main() == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert f" {allowed} " in printed
    assert "`ulimit -n 4096`" in printed


def test_other_errors_are_the_programs_own():
    @command
    def main():
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    with pytest.raises(OSError, match="Bad file descriptor"):
        main()

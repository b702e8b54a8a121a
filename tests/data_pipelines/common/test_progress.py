"""The progress display where stderr is a file: whole lines without control characters."""

import contextlib
import sys

import pytest

from data_pipelines.common import progress as shown
from data_pipelines.common.progress import byte_progress, print_status, progress


@pytest.fixture
def every_update(monkeypatch):
    """A line at each update, not every 30 s."""
    monkeypatch.setattr(shown, "LINE_SECONDS", 0)


def test_lines_are_whole_and_nothing_moves_the_cursor(capsys):
    with progress(description="outer", unit="steps", total=2) as outer:
        outer.update()
        print_status("between")
        assert list(progress([1, 2], description="inner", unit="things")) == [1, 2]
        outer.update()
    printed = capsys.readouterr().err
    assert printed.isprintable() is False
    assert "".join(printed.split("\n")).isprintable()
    lines = printed.splitlines()
    assert [line.partition(" [")[0] for line in lines] == [
        "outer: 0/2 steps",
        "between",
        "inner: 0/2 things",
        "inner: 2/2 things",
        "outer: 2/2 steps",
    ]


def test_a_display_that_fails_midway_ends_with_what_was_done(capsys):
    with (
        contextlib.suppress(ZeroDivisionError),
        progress(description="a", unit="b", total=5, initial=1) as bar,
    ):
        bar.update()
        raise ZeroDivisionError
    assert [line.partition(" [")[0] for line in capsys.readouterr().err.splitlines()] == [
        "a: 1/5 b",
        "a: 2/5 b",
    ]


def test_bytes_are_short(capsys, every_update):
    with byte_progress(description="x", total=2_500_000) as bar:
        bar.set_postfix_str("7 proteins", refresh=False)
        bar.update(1_250_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("x: 0.00/2.50M B [")
    assert lines[1].startswith("x: 1.25M/2.50M B [")
    assert all(line.endswith(", 7 proteins]") for line in lines[1:])


def test_a_terminal_has_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    list(progress([1], description="a", unit="b"))
    assert "\r" in capsys.readouterr().err

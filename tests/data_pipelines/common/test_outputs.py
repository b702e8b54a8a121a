"""What exists stays, what is being made is locked, and only what carries the mark is removed."""

import fcntl
import os
import subprocess
import sys

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.common.outputs import (
    MADE,
    MARK,
    claim,
    clear,
    new_file,
    new_files,
    new_folder,
    release,
)
from tests.support.paths import ROOT


def make(kind, output):
    """Makes an output of one file `made` or a file of that content."""
    if kind is new_folder:
        with new_folder(output) as folder:
            (folder / "made").write_text("made")
    else:
        with new_file(output) as path:
            path.write_text("made")


KINDS = pytest.mark.parametrize("kind", [new_folder, new_file])


@KINDS
def test_an_output_appears_when_it_is_complete_and_nothing_else_is_left(tmp_path, kind):
    make(kind, tmp_path / "new" / "out")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]
    with pytest.raises(ZeroDivisionError), kind(tmp_path / "failed") as path:
        (path / "begun" if kind is new_folder else path).write_text(
            str(1 / (tmp_path / "failed").exists())
        )
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@KINDS
def test_a_users_own_partial_is_neither_removed_nor_written_into(tmp_path, kind):
    own = tmp_path / "out.partial"
    own.mkdir()
    (own / "thesis.tex").write_text("years")
    with pytest.raises(UserError, match=r"out\.partial is in the way: out "):
        make(kind, tmp_path / "out")
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")} == {
        "out.partial",
        "out.partial/thesis.tex",
    }
    (tmp_path / "file.partial").write_text("years")
    (tmp_path / "link.partial").symlink_to(own)
    for name in ("file", "link"):
        with pytest.raises(UserError, match="is in the way"):
            make(kind, tmp_path / name)
    assert (tmp_path / "file.partial").read_text() == (own / "thesis.tex").read_text() == "years"


@KINDS
def test_what_exists_is_refused_before_anything_is_made(tmp_path, kind):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("out", "file"):
        with pytest.raises(UserError, match=f"{name} exists"):
            make(kind, tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "mine", "out"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_is_not_put_behind_a_link_that_leads_nowhere(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="out exists"):
        make(new_file, tmp_path / "out")
    assert not (tmp_path / "elsewhere").exists()


@KINDS
def test_what_appears_meanwhile_is_kept(tmp_path, kind):
    other = tmp_path / "out" / "mine" if kind is new_folder else tmp_path / "out"

    def another_program(path):
        other.parent.mkdir(exist_ok=True)
        other.write_text("mine")
        (path / "made" if kind is new_folder else path).write_text("made")

    with pytest.raises(UserError, match="out exists"), kind(tmp_path / "out") as path:
        another_program(path)
    assert other.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_files_get_their_names_together(tmp_path):
    outputs = [tmp_path / "a.png", tmp_path / "b.tsv"]
    (tmp_path / "b.tsv").write_text("mine")
    with pytest.raises(UserError, match=r"b\.tsv exists"), new_files(outputs):
        pass
    (tmp_path / "b.tsv").unlink()
    with new_files(outputs) as paths:
        assert [path.name for path in paths] == ["a.png", "b.tsv"]
        paths[0].write_text("a")
        paths[1].write_text("b")
        assert not any(output.exists() for output in outputs)
    assert [output.read_text() for output in outputs] == ["a", "b"]


HOLD = "import pathlib, sys, time; from data_pipelines.common.outputs import new_folder\n"
HOLD += "with new_folder(pathlib.Path(sys.argv[1])) as folder:\n"
HOLD += "    (folder / 'begun').touch(); print('begun', flush=True); time.sleep(600)"


@KINDS
def test_a_second_run_is_refused_while_the_first_lives_and_takes_over_when_it_was_killed(
    tmp_path, kind
):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out")]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout.readline() == "begun\n"
        with pytest.raises(UserError, match="out is being written by another run"):
            make(kind, tmp_path / "out")
        assert (tmp_path / "out.partial" / MADE / "begun").exists()
    finally:
        first.kill()
        first.wait()
        first.stdout.close()
    make(kind, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not (tmp_path / "out" / "begun").exists()


def test_a_claim_that_its_holder_has_just_removed_is_not_taken(tmp_path, monkeypatch):
    """The lock of a file that has no name any more keeps nobody away."""
    locked = fcntl.flock

    def removed_meanwhile(file, how):
        os.unlink(tmp_path / "out.partial" / MARK)
        return locked(file, how)

    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    with pytest.raises(UserError, match="is being written by another run"), claim(tmp_path / "out"):
        pass


def test_what_a_claim_leaves_is_known_as_ours_until_it_is_gone(tmp_path, monkeypatch):
    with claim(tmp_path / "out") as folder:
        (folder / "part").touch()
    with claim(tmp_path / "out") as folder:
        assert (folder / "part").exists()
        clear(folder)
        assert [path.name for path in folder.iterdir()] == [MARK]
        release(folder)
    assert not list(tmp_path.iterdir())


def test_what_a_library_writes_after_its_run_was_removed_is_ours(tmp_path):
    with new_folder(tmp_path / "out") as folder:
        late = folder / "late"
    (tmp_path / "out").rmdir()
    late.mkdir(parents=True)
    make(new_folder, tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "made"]


def test_a_folder_without_leave_to_write_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"out\.partial cannot be .*\(Not a directory\); .* another --output"
    ):
        make(new_file, tmp_path / "file" / "out")

"""Kills an embedding run at each of its file operations in turn, and lets the same command finish
it.

Run as `python -m tests.support.kill_points FOLDER`; prints how many points there were for each kind
of output file. Processes are forked, which the test process itself, with its threads, could not
do safely.
"""

import itertools
import os
import pathlib
import signal
import sys

from tests.support.fake_embedder import FakeModel, run

STATE_CHANGES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}
"""Audit events, raised before the operation; reading `open`s are points too."""


def in_child(function):
    """The wait status of a forked process that ends with the function's result."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os._exit(function())
    return os.waitpid(child, 0)[1]


def die_at(point, folder):
    """Makes this process kill itself at its `point`-th operation in the folder: before it, or
    with a file half on the disk."""
    counter = itertools.count()

    def hook(event, arguments):
        if (
            event in STATE_CHANGES
            and str(arguments[0]).startswith(str(folder))
            and next(counter) == point
        ):
            os.kill(os.getpid(), signal.SIGKILL)

    def fsync(descriptor):
        if next(counter) == point:
            os.truncate(f"/proc/self/fd/{descriptor}", os.fstat(descriptor).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    os.fsync = fsync


def kill_everywhere(folder, suffix):
    """The number of points."""
    fasta = folder / "x.fasta"
    fasta.write_text("".join(f">p\n{'MKVLACDW' * (i + 1)}\n" for i in range(2)) + ">bad\n11\n")
    work = folder / "work"
    outputs = [f"o.{kind}.{suffix}" for kind in ("projected", "residues")]
    arguments = ["--input", fasta, "--include", "projected", "residues", "--output"]
    assert (
        in_child(lambda: run(FakeModel(), *arguments, folder / f"o.{suffix}", chunk_tokens=1)) == 0
    )
    expected = [(folder / name).read_bytes() for name in outputs]

    def killed(point):
        die_at(point, work)
        return run(FakeModel(), *arguments, work / f"o.{suffix}", chunk_tokens=1)

    for point in itertools.count():
        work.mkdir()
        status = in_child(lambda point=point: killed(point))
        complete = all((work / name).exists() for name in outputs) and not list(
            work.rglob("plan.json")
        )
        code = os.waitstatus_to_exitcode(
            in_child(lambda: run(FakeModel(), *arguments, work / f"o.{suffix}", chunk_tokens=1))
        )
        # A run that was killed after its very end is told that its outputs exist.
        assert code == (2 if complete else 0), point
        assert [(work / name).read_bytes() for name in outputs] == expected, point
        assert sorted(path.name for path in work.iterdir()) == sorted(
            [*outputs, f"o.{suffix}.rejects.tsv"]
        ), point
        for path in work.iterdir():
            path.unlink()
        work.rmdir()
        if status == 0:
            return point
        assert status == signal.SIGKILL


if __name__ == "__main__":
    print(*(kill_everywhere(pathlib.Path(sys.argv[1]), suffix) for suffix in ("h5", "parquet")))

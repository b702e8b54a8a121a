"""The folder OUTPUT.partial, which makes a run resumable: its lock, its plan, and its finished parts."""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.errors import UserError

PLAN = "plan.json"
_LOCK = "lock"


@contextlib.contextmanager
def partial_folder(output: Path) -> Iterator[Path]:
    """OUTPUT.partial, locked for this process; removed at the end unless a plan was adopted in it.

    The lock is the operating system's and ends with the process, however that dies.

    Raises:
      UserError: the folder cannot be made, or another process has it.
    """
    folder = output.with_name(output.name + ".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / _LOCK, "a")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}); name another --output.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{output} is being written by another run; wait for it, or name another --output.") from error
        except OSError as error:
            raise UserError(f"{folder} cannot be locked ({error.strerror}); put --output on a local disk.") from error
        try:
            yield folder
        finally:
            if not (folder / PLAN).exists():
                shutil.rmtree(folder)


def refuse_existing(folder: Path, outputs: Sequence[Path]) -> None:
    """Raises UserError where an output exists already, unless a run that was stopped while finishing has put it there."""
    existing = [path for path in outputs if path.exists()]
    if existing and not (folder / PLAN).exists():
        raise UserError(f"{existing[0]} exists; remove it or name another --output.")


def adopt_plan(folder: Path, plan: Mapping) -> None:
    """Begins a run, or checks that the one in the folder has the same plan, so that its parts can be used.

    Raises:
      UserError: it has another plan.
    """
    path = folder / PLAN
    if not path.exists():
        atomic_write(path, json.dumps(plan, indent=2) + "\n", partial=folder / f"{PLAN}.writing")
        return
    stored = read_plan(folder)
    if different := sorted(key for key in stored.keys() | plan.keys() if stored.get(key) != plan.get(key)):
        raise UserError(
            f"{folder} holds the parts of another run (other {', '.join(different)}); "
            "finish that one with its own options, remove the folder, or name another --output."
        )


def read_plan(folder: Path) -> dict:
    """The plan of the run that the folder is of; empty before one is adopted."""
    path = folder / PLAN
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def remove_parts(folder: Path) -> None:
    """Empties the folder, its plan last: a run that is stopped meanwhile can be finished by the same command."""
    for path in folder.iterdir():
        if path.name not in (PLAN, _LOCK):
            path.unlink()
    (folder / PLAN).unlink()

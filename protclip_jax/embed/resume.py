"""The folder OUTPUT.partial of a resumable run: its lock, its plan, and its finished parts."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.errors import UserError
from data_pipelines.common.outputs import MARK, claim, refuse_existing, release

PLAN, _FINISHING = "plan.json", "finishing"


@contextlib.contextmanager
def partial_folder(output: Path) -> Iterator[Path]:
    """Claims OUTPUT.partial for this process; removes it at the end if no plan was adopted in it.

    Raises:
      UserError: as `outputs.claim`.
    """
    with claim(output) as folder:
        try:
            yield folder
        finally:
            if not (folder / PLAN).exists():
                release(folder)


def is_finishing(folder: Path) -> bool:
    """Whether the folder's run was stopped after `begin_finishing`, so outputs may be its own."""
    return (folder / PLAN).exists() and (folder / _FINISHING).exists()


def refuse_others(folder: Path, outputs: Sequence[Path], rejects: Sequence[Path] = ()) -> None:
    """Raises UserError if an output exists that an earlier, stopped part of this run did not write.

    Lists of rejects appear once a plan is adopted, outputs after `begin_finishing`.
    """
    if not is_finishing(folder):
        refuse_existing(outputs)
    if not (folder / PLAN).exists():
        refuse_existing(rejects)


def begin_finishing(folder: Path, outputs: Sequence[Path]) -> None:
    """Records that outputs appear from now on. Raises UserError as `refuse_others`."""
    refuse_others(folder, outputs)
    (folder / _FINISHING).touch()


def adopt_plan(folder: Path, plan: Mapping) -> None:
    """Begins a run, or checks that the run in the folder has the same plan, to reuse its parts.

    Raises:
      UserError: the run in the folder has another plan.
    """
    path = folder / PLAN
    if not path.exists():
        atomic_write(path, json.dumps(plan, indent=2) + "\n", partial=folder / f"{PLAN}.writing")
        return
    stored = read_plan(folder)
    if different := sorted(
        key for key in stored.keys() | plan.keys() if stored.get(key) != plan.get(key)
    ):
        raise UserError(
            f"{folder} has the parts of a run with other settings ({', '.join(different)}); "
            "finish that run with its own options, remove the folder, or name another --output."
        )


def read_plan(folder: Path) -> dict:
    """The plan of the folder's run; empty before one is adopted."""
    path = folder / PLAN
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def remove_parts(folder: Path) -> None:
    """Empties the folder, the plan last, so that the same command can finish if it is stopped."""
    for path in folder.iterdir():
        if path.name not in (PLAN, MARK, _FINISHING):
            path.unlink()
    (folder / PLAN).unlink()

"""The steps of a `checkpoints/` folder, local or in a bucket.

Orbax writes a step; it counts once its seal exists too.
"""

import contextlib
import re

from etils import epath

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints import checksums

METRICS = "metrics.json"
CHECKPOINTS = "checkpoints"
_UNFINISHED = re.compile(r"\d+(\.partial(_save)?)?(\.orbax-checkpoint-tmp(-\d+)?)?")
"""Orbax' names for a step that it is writing or has written."""


def written_steps(checkpoints: epath.Path) -> list[int]:
    """The steps that Orbax has finished, sealed or not, ascending.

    Raises:
      UserError: a step's folder does not have the name that Orbax would use, such as 007.
    """
    if not checkpoints.is_dir():
        return []
    names = {path.name for path in checkpoints.iterdir() if path.name.isdecimal()}
    for name in sorted(names):
        if str(int(name)) not in names:
            raise UserError(
                f"{checkpoints / name} does not have a step's name; rename it to {int(name)}."
            )
    return sorted(set(map(int, names)))


def complete_steps(checkpoints: epath.Path) -> list[int]:
    """The sealed steps, ascending; only these count."""
    steps = written_steps(checkpoints)
    return [step for step in steps if (checkpoints / str(step) / checksums.CHECKSUMS).exists()]


def remove(step: epath.Path) -> None:
    """Removes a step; if that fails or is interrupted, the rest of the step does not count."""
    (step / checksums.CHECKSUMS).unlink(missing_ok=True)
    # Another host may still be reading it; the next save tries again.
    with contextlib.suppress(OSError):
        step.rmtree()


def remove_unfinished(checkpoints: epath.Path) -> None:
    """Removes what Orbax left unfinished when it was interrupted."""
    if not checkpoints.is_dir():
        return
    for path in checkpoints.iterdir():
        if _UNFINISHED.fullmatch(path.name) and not (path.name.isdecimal() and _is_written(path)):
            path.rmtree(missing_ok=True)


def _is_written(step: epath.Path) -> bool:
    return any((step / name).exists() for name in (checksums.CHECKSUMS, "commit_success.txt"))


def set_aside(checkpoints: epath.Path, step: int) -> epath.Path:
    """Renames a step, which is kept but does not count any more."""
    aside, count = checkpoints / f"{step}.damaged", 1
    while aside.exists():
        count += 1
        aside = checkpoints / f"{step}.damaged-{count}"
    return (checkpoints / str(step)).rename(aside)


def seal(step: epath.Path, metrics: str) -> None:
    """Completes a step that Orbax has finished: writes `best.metrics_text` and the seal."""
    (step / METRICS).write_text(metrics)
    checksums.write(step)

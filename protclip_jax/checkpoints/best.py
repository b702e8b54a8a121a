"""Chooses the best checkpoint, and the step that a command reads."""

import json
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from etils import epath

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import is_number, parse_object
from protclip_jax.checkpoints import checksums
from protclip_jax.checkpoints.other_folders import not_a_checkpoint
from protclip_jax.checkpoints.step_folders import CHECKPOINTS, METRICS, complete_steps


class Best(NamedTuple):
    """How the best checkpoint is chosen."""

    metric: str | None
    """A metric of the evaluations in training, such as `retrieval/mrr`; None chooses no best."""
    mode: str
    """`max` or `min`: whether the largest or the smallest value is best."""


RETRIEVAL = Best("retrieval/mrr", "max")
"""The metric of checkpoints that do not record how the best was chosen."""

_MAX_DIGITS = 18
"""The maximum number of digits of a step."""


def metrics_text(metrics: Mapping[str, float], best: Best) -> str:
    finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    return json.dumps({"metrics": finite, "best": best._asdict()}) + "\n"


class Judged(NamedTuple):
    """The metrics of a step, and the rule under which it was saved."""

    metrics: Mapping[str, float]
    best: Best

    def score(self, best: Best) -> float | None:
        """The value as a score, larger is better; None if it was not measured."""
        value = self.metrics.get(best.metric)
        return None if not is_number(value) else value if best.mode == "max" else -value


def judge_all(checkpoints: epath.Path, steps: Iterable[int]) -> dict[int, Judged | None]:
    """Reads the metrics of these steps; None for a step whose metrics are damaged."""
    judged = {}
    for step in steps:
        try:
            judged[step] = _judged(checkpoints, step)
        except UserError:
            judged[step] = None
    return judged


def _judged(checkpoints: epath.Path, step: int) -> Judged:
    check_intact(checkpoints, step, under=METRICS)
    path = checkpoints / str(step) / METRICS
    stored = parse_object(path.read_bytes(), name=str(path))
    metrics, best = stored.get("metrics"), stored.get("best")
    if not isinstance(metrics, dict) or not isinstance(best, dict):
        return Judged({RETRIEVAL.metric: stored.get("mrr")}, RETRIEVAL)
    return Judged(metrics, Best(str(best.get("metric")), str(best.get("mode"))))


def _ranked(judged: Mapping[int, Judged], best: Best) -> list[int]:
    """The steps measured by `best`, the best first; of equal steps the later one first."""
    scores = {step: of_step.score(best) for step, of_step in judged.items()}
    scores = {step: score for step, score in scores.items() if score is not None}
    return sorted(scores, key=lambda step: (scores[step], step), reverse=True)


def worth_keeping(judged: Mapping[int, Judged | None], best: Best, count: int) -> set[int]:
    """The `count` best steps, and those that cannot be judged because their metrics are damaged.

    If no step was measured by `best`, the most recent rule by which steps were saved and some were
    measured decides.
    """
    known = {step: of_step for step, of_step in judged.items() if of_step is not None}
    rules = [best, *(known[step].best for step in sorted(known, reverse=True))]
    ranked = next(filter(None, (_ranked(known, rule) for rule in rules)), [])
    return (judged.keys() - known) | set(ranked[:count])


def check_intact(checkpoints: epath.Path, step: int, *, under: str) -> None:
    """Refuses a damaged part of a checkpoint and names the steps that could be used instead.

    Raises:
      UserError: the part is damaged.
    """
    path = checkpoints / str(step)
    if reason := checksums.find_damage(path, under=under):
        others = ", ".join(str(other) for other in complete_steps(checkpoints) if other != step)
        fix = f", or name another step (it has {others})" if others else ""
        damaged = f"the checkpoint {path} is damaged ({reason})"
        raise UserError(f"{damaged}; replace it with an intact copy{fix}.")


def resolve_step(workdir: pathlib.Path, step: str | int | None = None) -> int:
    """The step of `--step N|best|latest`; by default the best if recorded, else the latest.

    What is best follows the rule that the newest step was saved under.

    Raises:
      UserError: there is no such checkpoint.
    """
    if step not in (None, "best", "latest") and not (
        str(step).isdecimal() and len(str(step)) <= _MAX_DIGITS
    ):
        raise UserError(f"unknown --step={step}; expected a number, best or latest.")
    folder = epath.Path((workdir / CHECKPOINTS).absolute())
    if not folder.is_dir():
        raise not_a_checkpoint(workdir)
    steps = complete_steps(folder)
    if not steps:
        raise UserError(f"{folder} holds no complete checkpoint yet.")
    if step in (None, "best"):
        judged = {number: _judged(folder, number) for number in steps}
        return next(iter(_ranked(judged, judged[steps[-1]].best)), steps[-1])
    if step == "latest":
        return steps[-1]
    if int(step) not in steps:
        raise UserError(f"{folder} has no step {step}; it has {', '.join(map(str, steps))}.")
    return int(step)

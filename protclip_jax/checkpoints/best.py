"""Which checkpoint is the best, and which step a command reads."""

import json
import math
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import is_number
from protclip_jax.checkpoints.step_folders import METRICS, BucketSteps, LocalSteps


class Best(NamedTuple):
    """By what the best checkpoint is chosen."""

    metric: str | None
    """A metric of the evaluations in training, such as `retrieval/mrr`; None chooses no best."""
    mode: str
    """`max` or `min`: whether the largest or the smallest value is best."""


RETRIEVAL = Best("retrieval/mrr", "max")
"""What checkpoints without a record of it were chosen by."""


def metrics_text(metrics: Mapping[str, float], best: Best) -> str:
    finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    return json.dumps({"metrics": finite, "best": best._asdict()}) + "\n"


class _Judged(NamedTuple):
    """What a step's `METRICS` say."""

    metrics: Mapping[str, float]
    best: Best

    def score(self, best: Best) -> float | None:
        """The larger the better; None where it was not measured."""
        value = self.metrics.get(best.metric)
        return None if not is_number(value) else value if best.mode == "max" else -value


def _judged(steps: LocalSteps | BucketSteps, step: int) -> _Judged:
    check_intact(steps, step, under=METRICS)
    stored = steps.read_metrics(step)
    metrics, best = stored.get("metrics"), stored.get("best")
    if not isinstance(metrics, dict) or not isinstance(best, dict):
        return _Judged({RETRIEVAL.metric: stored.get("mrr")}, RETRIEVAL)
    return _Judged(metrics, Best(str(best.get("metric")), str(best.get("mode"))))


def _ranked(judged: Mapping[int, _Judged], best: Best) -> list[int]:
    """The steps that were measured by it, the best first, the later of equals first."""
    scores = {step: score for step, of_step in judged.items() if (score := of_step.score(best)) is not None}
    return sorted(scores, key=lambda step: (scores[step], step), reverse=True)


def worth_keeping(steps: LocalSteps | BucketSteps, best: Best, count: int) -> set[int]:
    """The `count` best steps, and those that nobody can judge, as their metrics are damaged.

    Where no step was measured by `best`, the last of the rules that steps were saved under and some were measured by decides.
    """
    judged, unknown = {}, set()
    for step in steps.numbers():
        try:
            judged[step] = _judged(steps, step)
        except UserError:
            unknown.add(step)
    rules = [best, *(judged[step].best for step in sorted(judged, reverse=True))]
    ranked = next(filter(None, (_ranked(judged, rule) for rule in rules)), [])
    return unknown | set(ranked[:count])


def check_intact(steps: LocalSteps | BucketSteps, step: int, *, under: str) -> None:
    """Raises UserError, with the steps that could be used instead, where a part of a checkpoint is damaged."""
    if reason := steps.find_damage(step, under=under):
        others = ", ".join(str(other) for other in steps.numbers() if other != step)
        fix = f", or name another step (it has {others})" if others else ""
        raise UserError(f"the checkpoint {steps.path(step)} is damaged ({reason}); put a copy of it in place{fix}.")


def resolve_step(workdir: pathlib.Path, step: str | int | None = None) -> int:
    """The step that `--step N|best|latest` names; by default the best if one is recorded, else the latest.

    What is best follows the rule that the newest step was saved under.

    Raises:
      UserError: there is no such checkpoint.
    """
    if step not in (None, "best", "latest") and not str(step).isdecimal():
        raise UserError(f"--step={step} is neither a number nor best nor latest.")
    folder = (workdir / "checkpoints").absolute()
    if not folder.is_dir():
        raise UserError(f"{workdir} holds no checkpoints/ folder; give a workdir or a converted checkpoint.")
    lying = LocalSteps(folder)
    steps = lying.numbers()
    if not steps:
        raise UserError(f"{folder} holds no complete checkpoint yet.")
    if step in (None, "best"):
        judged = {number: _judged(lying, number) for number in steps}
        return next(iter(_ranked(judged, judged[steps[-1]].best)), steps[-1])
    if step == "latest":
        return steps[-1]
    if int(step) not in steps:
        raise UserError(f"{folder} has no step {step}; it has {', '.join(map(str, steps))}.")
    return int(step)

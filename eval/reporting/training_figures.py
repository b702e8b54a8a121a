"""Figures about a checkpoint's training run, from its folder."""

import functools
import pathlib
from collections.abc import Callable

from matplotlib.figure import Figure

from eval.pretraining.evaluation import Evaluation
from eval.pretraining.evaluations import EVALUATIONS
from eval.pretraining.trained_baselines import TrainedBaselines
from eval.reporting.figures import cluster_mixture, losses_over_steps
from protclip_jax.training.metrics import read_metrics
from protclip_jax.training.mixture import read as read_mixture

CAPTIONS = {
    "losses": "Loss of each objective over training steps (last value at the upper right).",
    "mixture": "Share of each (source, confidence, coverage) cluster among the training draws, "
    "beside "
    "the configured share.",
}


def _not_at_hand(name: str) -> None:
    del name


def training_figures(
    workdir: pathlib.Path,
    followed: Callable[[str], Evaluation | None] = _not_at_hand,
    baselines: TrainedBaselines | None = None,
) -> tuple[dict[str, Figure], dict[str, str]]:
    """Draws the figures of a workdir's training run, and gives reasons for missing ones.

    `followed` makes the evaluation of a name as the run followed it, or gives None; without it,
    figures lack its baselines, and without `baselines` those that are trained.

    Raises:
      UserError: a file of the workdir is damaged.
    """
    metrics, mixture = (
        _read(read_metrics, workdir / "metrics.jsonl"),
        _read(read_mixture, workdir / "mixture.json"),
    )
    figures = {"losses": losses_over_steps(metrics or [])}
    reasons = {"losses": "no loss was logged"}
    for name, evaluation in EVALUATIONS.items():
        drawn = evaluation.training_figures(
            metrics or [], functools.partial(followed, name), baselines
        )
        figures |= drawn
        reasons |= dict.fromkeys(drawn, f"{name} was not followed in training")
    if metrics is None:
        reasons = dict.fromkeys(reasons, "the checkpoint has no metrics.jsonl")
    figures["mixture"] = cluster_mixture(mixture) if mixture else None
    reasons["mixture"] = (
        "the checkpoint has no mixture.json" if mixture is None else "nothing was drawn"
    )
    present = {name: figure for name, figure in figures.items() if figure is not None}
    return present, {name: reason for name, reason in reasons.items() if name not in present}


def _read(reader: Callable, path: pathlib.Path):
    """The result of `reader` on a file, None if it does not exist."""
    return reader(path) if path.is_file() else None

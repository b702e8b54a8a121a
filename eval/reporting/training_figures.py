"""What a checkpoint's folder tells about its training run, as figures."""

import pathlib
from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from data_pipelines.common.errors import UserError
from eval.pretraining.retrieval import chance
from eval.reporting.figures import RETRIEVAL, cluster_mixture, losses_over_steps, retrieval_over_steps
from protclip_jax.training.metrics import read_metrics
from protclip_jax.training.mixture import read as read_mixture

MAX_POOL = 1 << 22
"""Far above any pool that similarities of all pairs can be ranked in."""


def training_figures(
    workdir: pathlib.Path, baseline: Callable[[], Mapping[str, float]] = dict
) -> tuple[dict[str, Figure], dict[str, str]]:
    """The figures on the training run of a workdir, and of those that cannot be drawn the reason.

    `baseline` computes the retrieval of a k-mer baseline on the run's own pool; without it, none is drawn.

    Raises:
      UserError: a file of the workdir is damaged.
    """
    metrics, mixture = _read(read_metrics, workdir / "metrics.jsonl"), _read(read_mixture, workdir / "mixture.json")
    figures: dict[str, Figure | None] = {"losses": None, "retrieval": None, "mixture": None}
    if metrics:
        figures["losses"] = losses_over_steps(metrics)
        figures["retrieval"] = _retrieval(metrics, baseline)
    if mixture:
        figures["mixture"] = cluster_mixture(mixture)
    reasons = {
        "losses": "the checkpoint has no metrics.jsonl" if metrics is None else "no loss was logged",
        "retrieval": "the checkpoint has no metrics.jsonl" if metrics is None else "retrieval was not followed in training",
        "mixture": "the checkpoint has no mixture.json" if mixture is None else "nothing was drawn",
    }
    drawn = {name: figure for name, figure in figures.items() if figure is not None}
    return drawn, {name: reason for name, reason in reasons.items() if name not in drawn}


def _retrieval(metrics: list[Mapping], baseline: Callable[[], Mapping[str, float]]) -> Figure | None:
    pools = [line[f"{RETRIEVAL}pool"] for line in metrics if line.get(f"{RETRIEVAL}pool")]
    if not pools:
        return None
    if not 2 <= pools[-1] <= MAX_POOL:
        raise UserError(f"metrics.jsonl tells of a retrieval pool of {pools[-1]}; remove it to evaluate without its figures.")
    return retrieval_over_steps(metrics, chance=chance(int(pools[-1])), baseline=baseline())


def _read(reader: Callable, path: pathlib.Path):
    """What `reader` makes of a file, None where there is none."""
    return reader(path) if path.is_file() else None

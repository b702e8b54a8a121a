"""What a checkpoint's folder tells about its training run, as figures."""

import pathlib
from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from data_pipelines.errors import UserError
from data_pipelines.protanno import ProtAnno
from eval.registry import make_hooks
from eval.reporting.figures import RETRIEVAL, cluster_mixture, losses_over_steps, retrieval_over_steps
from eval.retrieval import chance
from protclip_jax.metrics import read_metrics
from protclip_jax.mixture import read as read_mixture

MAX_POOL = 1 << 22
"""Far above any pool that similarities of all pairs can be ranked in."""


def training_figures(
    workdir: pathlib.Path, evals: Mapping, dataset: ProtAnno | None
) -> tuple[dict[str, Figure], dict[str, str]]:
    """The figures on the training run of a workdir, and of those that cannot be drawn the reason.

    `evals` is the run's own, `dataset` the one it was trained on; without it (None) the k-mer baseline is not drawn.

    Raises:
      UserError: a file of the workdir is damaged.
    """
    metrics, mixture = _read(read_metrics, workdir / "metrics.jsonl"), _read(read_mixture, workdir / "mixture.json")
    figures: dict[str, Figure | None] = {"losses": None, "retrieval": None, "mixture": None}
    if metrics:
        figures["losses"] = losses_over_steps(metrics)
        figures["retrieval"] = _retrieval(metrics, evals, dataset)
    if mixture:
        figures["mixture"] = cluster_mixture(mixture)
    reasons = {
        "losses": "the checkpoint has no metrics.jsonl" if metrics is None else "no loss was logged",
        "retrieval": "the checkpoint has no metrics.jsonl" if metrics is None else "retrieval was not followed in training",
        "mixture": "the checkpoint has no mixture.json" if mixture is None else "nothing was drawn",
    }
    drawn = {name: figure for name, figure in figures.items() if figure is not None}
    return drawn, {name: reason for name, reason in reasons.items() if name not in drawn}


def _retrieval(metrics: list[Mapping], evals: Mapping, dataset: ProtAnno | None) -> Figure | None:
    pools = [line[f"{RETRIEVAL}pool"] for line in metrics if line.get(f"{RETRIEVAL}pool")]
    if not pools:
        return None
    if not 2 <= pools[-1] <= MAX_POOL:
        raise UserError(f"metrics.jsonl tells of a retrieval pool of {pools[-1]}; remove it to evaluate without its figures.")
    baseline = {}
    if dataset is not None and "retrieval" in evals:
        (hook,) = make_hooks({"retrieval": evals["retrieval"]}, dataset)
        baseline = hook.evaluation.baseline()
    return retrieval_over_steps(metrics, chance=chance(int(pools[-1])), baseline=baseline)


def _read(reader: Callable, path: pathlib.Path):
    """What `reader` makes of a file, None where there is none."""
    return reader(path) if path.is_file() else None

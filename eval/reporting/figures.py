"""Figures of a report: what training and sampling did."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from data_pipelines.common.figure_style import BLUE, INK, VERMILION, tidy
from eval.reporting.base.curves import series
from protclip_jax.objectives.registry import OBJECTIVES

LOSSES = {"loss": "total"} | {f"loss/{name}": kind.title for name, kind in OBJECTIVES.items()}


def losses_over_steps(metrics: Sequence[Mapping]) -> Figure | None:
    """Plots the total loss and each logged objective in nats; None if nothing was logged."""
    curves = {title: series(metrics, key) for key, title in LOSSES.items()}
    curves = {title: curve for title, curve in curves.items() if curve[0].size}
    if not curves:
        return None
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.5 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for axis, (title, (steps, values)) in zip(axes, curves.items(), strict=False):
        axis.plot(steps, values, color=BLUE, linewidth=1.2, marker="o" if steps.size == 1 else None)
        axis.set_title(title, fontsize=10, color=INK, loc="left")
        axis.set_title(f"{values[-1]:.3g}", fontsize=9, color=BLUE, loc="right")
        axis.tick_params(labelbottom=True)
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        tidy(axis)
    for axis in axes[len(curves) :]:
        axis.remove()
    figure.supxlabel("step", fontsize=10, color=INK)
    figure.supylabel("loss (nats)", fontsize=10, color=INK)
    return figure


def cluster_mixture(mixture: Mapping) -> Figure | None:
    """Plots clusters' shares of the draws (bars) beside the configured shares (strokes).

    Clusters are by source, confidence and coverage.
    """
    clusters, total = mixture["clusters"], mixture["total"]
    names = sorted(
        name for name, cluster in clusters.items() if cluster["configured"] or cluster["drawn"]
    )
    if not names or not total:
        return None
    configured = 100 * np.array([clusters[name]["configured"] for name in names])
    drawn = 100 * np.array([clusters[name]["drawn"] for name in names]) / total
    positions = np.arange(len(names))
    figure = Figure(figsize=(7.5, 1.3 + 0.28 * len(names)), layout="constrained")
    axis = figure.subplots()
    axis.barh(positions, drawn, height=0.66, color=BLUE, alpha=0.75, label="drawn")
    axis.vlines(
        configured,
        positions - 0.45,
        positions + 0.45,
        color=VERMILION,
        linewidth=2.5,
        label="configured",
    )
    for position, share, wanted in zip(positions, drawn, configured, strict=True):
        axis.annotate(
            f"{share:.2f} %",
            (max(share, wanted), position),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axis.set_yticks(positions, names, fontsize=9, family="monospace")
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlim(0, 1.15 * max(drawn.max(), configured.max()))
    axis.set_xlabel("share of the draws (%)")
    axis.set_title(
        f"{total:,} draws by source / confidence / coverage", fontsize=10, color=INK, loc="left"
    )
    axis.legend(fontsize=9, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    tidy(axis)
    axis.grid(axis="y", visible=False)
    return figure

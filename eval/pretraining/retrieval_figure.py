"""Plots retrieval over the steps of a training run."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from data_pipelines.common.figure_style import BLUE, GREY, INK, VERMILION, tidy
from eval.reporting.base.curves import series

DIRECTIONS = {"p2t": ("protein → text", BLUE), "t2p": ("text → protein", VERMILION)}
RETRIEVAL = "eval/retrieval/"
"""The prefix of the retrieval metrics in metrics.jsonl."""


STYLES = {
    "ceiling (judge)": (INK, "-."),
    "linear model": (INK, ":"),
    "k-mer baseline": (GREY, ":"),
    "chance": (GREY, "--"),
}
"""Colour and line style of each baseline."""


def retrieval_over_steps(
    metrics: Sequence[Mapping], beside: Mapping[str, Mapping]
) -> Figure | None:
    """Plots R@1 and MRR, the means of both directions, over steps, with baselines by `STYLES`."""
    steps, mrr = series(metrics, f"{RETRIEVAL}mrr")
    if not steps.size:
        return None
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    recall_axis, mrr_axis = figure.subplots(1, 2)
    for name, (label, colour) in DIRECTIONS.items():
        recall_axis.plot(
            *series(metrics, f"{RETRIEVAL}{name}_r1"),
            color=colour,
            linewidth=1.6,
            marker="o",
            ms=3,
            label=label,
        )
    mrr_axis.plot(
        steps, mrr, color=BLUE, linewidth=1.6, marker="o", ms=3, label="mean of both directions"
    )
    for name, found in beside.items():
        colour, line = STYLES[name]
        recall_axis.axhline(
            (found["p2t_r1"] + found["t2p_r1"]) / 2,
            color=colour,
            linestyle=line,
            label=f"{name} (mean)",
        )
        mrr_axis.axhline(found["mrr"], color=colour, linestyle=line, label=name)
    for axis, title in ((recall_axis, "R@1"), (mrr_axis, "mean reciprocal rank")):
        axis.set_title(title, fontsize=10, color=INK, loc="left")
        axis.set_xlabel("step")
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axis.set_ylim(bottom=0)
        axis.set_ylim(top=axis.get_ylim()[1] * 1.05)
        axis.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.2), ncols=2)
        tidy(axis)
    return figure

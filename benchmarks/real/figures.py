"""Plots the small model and every baseline on a split, as dots with intervals."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from benchmarks.real.intervals import over_clusters
from benchmarks.real.kept import Run
from benchmarks.real.plan import MAIN, RANDOM
from data_pipelines.common.figure_style import BLUE, GREY, INK, tidy

TITLES = {
    "p2t_mrr": "protein → text, MRR",
    "t2p_mrr": "text → protein, MRR",
    "map_location": "locations, MAP",
    "map_family": "families, MAP",
    "map_enzyme": "enzymes, MAP",
    "map_go": "GO functions, MAP",
}


def models_by_band(run: Run, split: str, endings: Mapping[str, str]) -> Figure | None:
    """Draws a row of panels per group of proteins, and a column per quantity.

    Returns None if the main model is not measured.

    Args:
      endings: suffix of a quantity → label of the proteins.
    """
    if not run.found(split, MAIN):
        return None
    models = [one for one in (*run.baselines(split), RANDOM, MAIN) if run.found(split, one)]
    size = (2.3 * len(TITLES) + 1.5, (0.8 + 0.24 * len(models)) * len(endings))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(endings), len(TITLES), squeeze=False, sharex="col", sharey=True)
    for axes, (ending, named) in zip(grid, endings.items(), strict=True):
        axes[0].set_ylabel(named, fontsize=9, color=INK)
        axes[0].set_yticks(range(len(models)), models)
        for axis, quantity in zip(axes, TITLES, strict=True):
            _dots(axis, run, split, models, f"{quantity}{ending}")
    for axis, title in zip(grid[0], TITLES.values(), strict=True):
        axis.set_title(title, fontsize=10, color=INK, loc="left")
    grid[0][0].set_ylim(len(models) - 0.5, -0.5)
    return figure


def _dots(axis, run: Run, split: str, models: Sequence[str], quantity: str) -> None:
    for place, model in enumerate(models):
        measured = run.found(split, model).get(quantity)
        if measured is None:
            continue
        low, high = over_clusters(*measured).interval
        colour = BLUE if model == MAIN else GREY
        axis.plot([low, high], [place, place], color=colour, linewidth=1.6)
        axis.plot([measured.value], [place], "o", color=colour, markersize=5)
    axis.set_xlim(left=0)
    tidy(axis)

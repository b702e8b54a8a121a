"""Figures of a dataset report."""

import itertools
from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from data_pipelines.common.figure_style import BLUE, INK, VERMILION, tidy
from data_pipelines.protanno.record import PROPERTIES, SOURCES

COVERAGES = range(len(PROPERTIES) + 1)
"""Property coverages in quarters."""

MAX_TICKS = 12
_SHADES = LinearSegmentedColormap.from_list("shades", ["#F7FAFC", BLUE])


def shares_beside_published(
    panels: Mapping[str, tuple[Mapping[int, float], Mapping[int, float]]],
    *,
    labels: Mapping[int, str],
    axis_label: str,
) -> Figure:
    """Draws one panel per title: bars for this dataset's shares, strokes for the published ones.

    Both shares are fractions by level.
    """
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    shown = set().union(*itertools.chain.from_iterable(panels.values()))
    levels = [level for level in labels if level in shown]
    positions = np.arange(len(levels))
    for axis, (title, (own, published)) in zip(axes, panels.items(), strict=True):
        heights = [100 * own.get(level, 0) for level in levels]
        strokes = [100 * published[level] if level in published else np.nan for level in levels]
        axis.bar(positions, heights, width=0.66, color=BLUE, alpha=0.75, label="this dataset")
        axis.hlines(
            strokes,
            positions - 0.42,
            positions + 0.42,
            color=VERMILION,
            linewidth=2.5,
            label="published",
        )
        # Each number stands at its mark, side by side so that equal heights do not hide one.
        for position, height, stroke in zip(positions, heights, strokes, strict=True):
            _number(axis, position - 0.2, height, BLUE)
            _number(axis, position + 0.22, stroke, VERMILION)
        axis.set_xticks(positions, [labels[level] for level in levels])
        axis.set_title(title, fontsize=10, color=INK, loc="left")
        axis.set_xlabel(axis_label)
        axis.margins(y=0.15)
        tidy(axis)
        axis.grid(axis="x", visible=False)
    axes[0].set_ylabel("share of the records (%)")
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        fontsize=9,
        frameon=False,
        loc="outside upper right",
        ncols=2,
    )
    return figure


def _number(axis, position: float, height: float, colour: str) -> None:
    """Writes a number just above its height; nothing for NaN."""
    if not np.isnan(height):
        style = {"textcoords": "offset points", "ha": "center", "fontsize": 7}
        text = axis.annotate(
            f"{height:.1f}", (position, height), xytext=(0, 3), color=colour, **style
        )
        # Keep it legible on a bar.
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def length_histogram(histogram: Mapping, *, unit: str, limit: int | None = None) -> Figure:
    """Draws records by length from the `edges` and `counts` of bins.

    Bins differ in width, so heights are per width of the first bin. The axis ends at the 99th
    percentile, or just beyond the limit, which is drawn as a line.
    """
    edges, counts = np.array(histogram["edges"], float), np.array(histogram["counts"], float)
    share, width = 100 * counts / counts.sum(), edges[1] - edges[0]
    end = max(edges[1:][np.searchsorted(share.cumsum(), 99)], 1.1 * (limit or 0))
    figure = Figure(figsize=(7.5, 3), layout="constrained")
    axis = figure.subplots()
    axis.stairs(share / np.diff(edges) * width, edges, fill=True, color=BLUE, alpha=0.75)
    axis.set_xlim(0, end)
    if limit:
        axis.axvline(limit, color=VERMILION, linewidth=1.5, linestyle="--")
        text = f"{limit:,} {unit}: longer ones are cropped in training"
        axis.annotate(
            text,
            (limit, 1.02),
            xycoords=("data", "axes fraction"),
            ha="right",
            fontsize=8,
            color=VERMILION,
        )
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.set_xlabel(f"length ({unit})")
    axis.set_ylabel(f"records per {width:g} {unit} (%)")
    tidy(axis)
    return figure


def size_histogram(sizes: Mapping) -> Figure:
    """Draws clusters by size, from `edges` and `counts` of bins, with two logarithmic axes."""
    figure = Figure(figsize=(7.5, 2.8), layout="constrained")
    axis = figure.subplots()
    axis.stairs(sizes["counts"], sizes["edges"], baseline=0.5, fill=True, color=BLUE, alpha=0.75)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.5)
    # Sizes are integers: ticks at every bin edge, or at every n-th one, and no minor ticks.
    edges = list(sizes["edges"])
    axis.set_xticks(edges[:: 1 + len(edges) // MAX_TICKS], minor=False)
    axis.set_xticks([], minor=True)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.yaxis.set_major_formatter(lambda value, _: compact(value))
    axis.set_xlabel("records of the cluster")
    axis.set_ylabel("clusters")
    tidy(axis)
    return figure


def cluster_grids(records: Mapping[str, int], draws: Mapping[str, float]) -> Figure:
    """Draws confidence × coverage grids per source: records and, if known, the share of draws."""
    present = {name.split("/")[0] for name in records}
    sources = [source for source in SOURCES if source in present]
    levels = sorted(
        {int(name.split("/")[1][1:]) for name in records},
        key=lambda level: level or len(records) + 9,
    )
    bare = any(name.endswith("/R0") for name in records)
    coverages = COVERAGES if bare else COVERAGES[1:]
    columns = [("records", records, compact)]
    if draws:
        columns.append(("share of the draws (%)", draws, lambda share: f"{100 * share:.2g}"))
    figure = Figure(
        figsize=(3.9 * len(columns), 0.9 + (0.9 + 0.3 * len(levels)) * len(sources)),
        layout="constrained",
    )
    axes = figure.subplots(len(sources), len(columns), squeeze=False)
    for row, source in zip(axes, sources, strict=True):
        for axis, (title, values, shown) in zip(row, columns, strict=True):
            cells = itertools.product(levels, coverages)
            counts = [values.get(f"{source}/C{level}/R{coverage}", 0) for level, coverage in cells]
            grid = np.reshape(counts, (len(levels), len(coverages)))
            _grid(axis, grid, largest=max(values.values()), shown=shown)
            axis.set_title(f"{source}: {title}", fontsize=10, color=INK, loc="left")
            quarters = [f"{coverage}/{len(PROPERTIES)}" for coverage in coverages]
            axis.set_xticks(range(len(coverages)), quarters)
            axis.set_yticks(range(len(levels)), [str(level or "?") for level in levels])
    figure.supxlabel("property coverage", fontsize=10, color=INK)
    figure.supylabel("confidence", fontsize=10, color=INK)
    return figure


def _grid(axis, grid: np.ndarray, *, largest: float, shown: Callable[[float], str]) -> None:
    """Draws shaded cells with their values.

    The shade follows the cube root, because counts differ by orders of magnitude.
    """
    shades = np.cbrt(grid / (largest or 1))
    axis.imshow(shades, cmap=_SHADES, vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(grid):
        colour = "white" if shades[row, column] > 0.6 else INK
        axis.text(
            column,
            row,
            shown(value) if value else "–",
            ha="center",
            va="center",
            fontsize=8,
            color=colour,
        )
    axis.set_xticks(np.arange(grid.shape[1] - 1) + 0.5, minor=True)
    axis.set_yticks(np.arange(grid.shape[0] - 1) + 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=2)
    axis.tick_params(which="both", length=0, labelsize=8)
    axis.spines[:].set_visible(False)


def compact(number: float) -> str:
    """Formats a number with two digits or more: 999, 1.2k, 45k, 1.2M, 251M."""
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if number >= size:
            digits = ".2g" if number < 9.5 * size else ".0f"
            return f"{number / size:{digits}}{unit}"
    return f"{number:.0f}"

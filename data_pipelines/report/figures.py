"""Figures of a dataset's report."""

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
    """One panel a title: bars of this dataset's shares, strokes of the published ones, both
    fractions by level."""
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    levels = [
        level
        for level in labels
        if any(level in own or level in published for own, published in panels.values())
    ]
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
        # Each number at its own mark; side by side, so that marks of the same height do not hide
        # one.
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
    """A number just above the height that it tells; nothing for NaN."""
    if not np.isnan(height):
        style = {"textcoords": "offset points", "ha": "center", "fontsize": 7}
        text = axis.annotate(
            f"{height:.1f}", (position, height), xytext=(0, 3), color=colour, **style
        )
        # Legible where it lies on a bar.
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def length_histogram(histogram: Mapping, *, unit: str, limit: int | None = None) -> Figure:
    """Records by length, from `edges` and `counts` of bins; as the bins differ in width, per width
    of the first.

    The axis ends where 99 % of the records do, or after the limit, which is drawn as a line.
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
    """Clusters of similar sequences by their records, from `edges` and `counts` of bins; both
    axes are logarithmic."""
    figure = Figure(figsize=(7.5, 2.8), layout="constrained")
    axis = figure.subplots()
    axis.stairs(sizes["counts"], sizes["edges"], baseline=0.5, fill=True, color=BLUE, alpha=0.75)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.5)
    # Sizes are whole: a tick at each edge of a bin, or at every other one, and none between.
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
    """Confidence × coverage grids of each source: its records and, where known, their share of
    the draws in percent."""
    sources = [
        source for source in SOURCES if any(name.startswith(f"{source}/") for name in records)
    ]
    levels = sorted(
        {int(name.split("/")[1][1:]) for name in records},
        key=lambda level: level or len(records) + 9,
    )
    bare = any(name.endswith("/R0") for name in records)
    coverages = COVERAGES if bare else COVERAGES[1:]
    columns = [("records", records, compact)]
    columns += (
        [("share of the draws (%)", draws, lambda value: f"{100 * value:.2g}")] if draws else []
    )
    figure = Figure(
        figsize=(3.9 * len(columns), 0.9 + (0.9 + 0.3 * len(levels)) * len(sources)),
        layout="constrained",
    )
    axes = figure.subplots(len(sources), len(columns), squeeze=False)
    for row, source in zip(axes, sources, strict=True):
        for axis, (title, values, shown) in zip(row, columns, strict=True):
            grid = np.array(
                [
                    [values.get(f"{source}/C{level}/R{coverage}", 0) for coverage in coverages]
                    for level in levels
                ]
            )
            _grid(axis, grid, largest=max(values.values()), shown=shown)
            axis.set_title(f"{source}: {title}", fontsize=10, color=INK, loc="left")
            axis.set_xticks(
                range(len(coverages)), [f"{coverage}/{len(PROPERTIES)}" for coverage in coverages]
            )
            axis.set_yticks(range(len(levels)), [str(level or "?") for level in levels])
    figure.supxlabel("property coverage", fontsize=10, color=INK)
    figure.supylabel("confidence", fontsize=10, color=INK)
    return figure


def _grid(axis, grid: np.ndarray, *, largest: float, shown: Callable[[float], str]) -> None:
    """Shaded cells with their values in them; counts differ by orders of magnitude, so the shade
    goes by the cube root."""
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
    """Two digits or more: 999, 1.2k, 45k, 1.2M, 251M."""
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if number >= size:
            return (
                f"{number / size:.2g}{unit}"
                if number < 9.5 * size
                else f"{number / size:.0f}{unit}"
            )
    return f"{number:.0f}"

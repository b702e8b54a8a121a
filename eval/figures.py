"""Figures of a report: what training did, and what the segments look at.

The colours are Okabe and Ito's, safe for the colour-blind.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BLUE, VERMILION, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#8C8C8C", "#333333"
PROPERTY_COLOURS = {"name": "#CC79A7", "function": BLUE, "location": VERMILION, "similarity": GREEN}
LOSSES = {
    "loss": "total",
    "loss/gc": "global contrastive (GC)",
    "loss/bsr": "segment reconstruction (BSR)",
    "loss/mlm": "masked residues (MLM)",
    "loss/pda": "segment alignment (PDA)",
}
DIRECTIONS = {"p2t": ("protein → text", BLUE), "t2p": ("text → protein", VERMILION)}
RETRIEVAL = "eval/retrieval/"
"""What stands before the retrieval metrics in metrics.jsonl."""
LETTERS_UP_TO = 120
DPI = 150


class Track(NamedTuple):
    """The weights of one property's text over the residues of a protein, and which residues its features mark."""

    name: str
    weights: Float[np.ndarray, " L"]
    marked: Bool[np.ndarray, " L"]


def losses_over_steps(metrics: Sequence[Mapping]) -> Figure | None:
    """Small multiples: the total loss and each objective's, in nats, that was ever logged; None if there is none."""
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


def retrieval_over_steps(metrics: Sequence[Mapping], *, chance: Mapping, baseline: Mapping) -> Figure | None:
    """R@1 of both directions and their mean MRR over steps, beside chance and the k-mer baseline (empty = unknown)."""
    steps, mrr = series(metrics, f"{RETRIEVAL}mrr")
    if not steps.size:
        return None
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    recall_axis, mrr_axis = figure.subplots(1, 2)
    for name, (label, colour) in DIRECTIONS.items():
        recall_axis.plot(*series(metrics, f"{RETRIEVAL}{name}_r1"), color=colour, linewidth=1.6, marker="o", ms=3, label=label)
    recall_axis.axhline(chance["p2t_r1"], color=GREY, linestyle="--", label="chance")
    for name, (label, colour) in DIRECTIONS.items() if baseline else ():
        recall_axis.axhline(baseline[f"{name}_r1"], color=colour, linestyle=":", label=f"{label}, k-mer baseline")
    mrr_axis.plot(steps, mrr, color=INK, linewidth=1.6, marker="o", ms=3, label="mean of both directions")
    if baseline:
        mrr_axis.axhline(baseline["mrr"], color=INK, linestyle=":", label="k-mer baseline")
    mrr_axis.axhline(chance["mrr"], color=GREY, linestyle="--", label="chance")
    for axis, title in ((recall_axis, "R@1"), (mrr_axis, "mean reciprocal rank")):
        axis.set_title(title, fontsize=10, color=INK, loc="left")
        axis.set_xlabel("step")
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axis.set_ylim(bottom=0)
        axis.set_ylim(top=axis.get_ylim()[1] * 1.05)
        axis.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.2), ncols=2)
        tidy(axis)
    return figure


def cluster_mixture(mixture: Mapping) -> Figure | None:
    """Shares of the (source, confidence, coverage) clusters among the draws (bars) beside the configured ones (strokes)."""
    clusters, total = mixture["clusters"], mixture["total"]
    names = sorted(name for name, cluster in clusters.items() if cluster["configured"] or cluster["drawn"])
    if not names or not total:
        return None
    configured = 100 * np.array([clusters[name]["configured"] for name in names])
    drawn = 100 * np.array([clusters[name]["drawn"] for name in names]) / total
    places = np.arange(len(names))
    figure = Figure(figsize=(7.5, 1.3 + 0.28 * len(names)), layout="constrained")
    axis = figure.subplots()
    axis.barh(places, drawn, height=0.66, color=BLUE, alpha=0.75, label="drawn")
    axis.vlines(configured, places - 0.45, places + 0.45, color=VERMILION, linewidth=2.5, label="configured")
    for place, share, wanted in zip(places, drawn, configured, strict=True):
        axis.annotate(
            f"{share:.2f} %", (max(share, wanted), place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8
        )
    axis.set_yticks(places, names, fontsize=9, family="monospace")
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlim(0, 1.15 * max(drawn.max(), configured.max()))
    axis.set_xlabel("share of the draws (%)")
    axis.set_title(f"{total:,} draws by source / confidence / coverage", fontsize=10, color=INK, loc="left")
    axis.legend(fontsize=9, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    tidy(axis)
    axis.grid(axis="y", visible=False)
    return figure


def segment_tracks(proteins: Mapping[str, tuple[str, Sequence[Track]]]) -> Figure:
    """Per protein (title → sequence, tracks) a row of bars for each property, its marked residues shaded.

    The residues' letters stand below up to `LETTERS_UP_TO` residues, positions (1-based) everywhere.
    """
    heights = [0.75 + 0.95 * len(tracks) for _, tracks in proteins.values()]
    figure = Figure(figsize=(12, sum(heights) + 0.5), layout="constrained")
    parts = np.atleast_1d(figure.subfigures(len(proteins), 1, height_ratios=heights))
    for part, (title, (sequence, tracks)) in zip(parts, proteins.items(), strict=True):
        axes = part.subplots(len(tracks), 1, sharex=True, squeeze=False).ravel()
        for axis, track in zip(axes, tracks, strict=True):
            _draw_track(axis, track)
        shown = title if len(title) <= LETTERS_UP_TO else f"{title[: LETTERS_UP_TO - 1]}…"
        axes[0].set_title(shown, fontsize=10, color=INK, loc="left")
        _label_residues(axes[-1], sequence)
    figure.supylabel("PDA weight of the residue", fontsize=10, color=INK)
    figure.supxlabel("residue; shaded: annotated for the property", fontsize=10, color=INK)
    return figure


def _draw_track(axis, track: Track) -> None:
    colour = PROPERTY_COLOURS.get(track.name, INK)
    weights = np.nan_to_num(track.weights)
    edges = np.flatnonzero(np.diff(track.marked, prepend=False, append=False))
    for start, end in edges.reshape(-1, 2) + 0.5:
        # The bars end below the top, where the shading stays visible.
        axis.axvspan(start, end, color=colour, alpha=0.25, linewidth=0)
    axis.stairs(weights, np.arange(weights.size + 1) + 0.5, fill=True, color=colour)
    axis.set(xlim=(0.5, weights.size + 0.5), ylim=(0, max(float(weights.max()), 1e-9) * 1.3))
    axis.set_ylabel(track.name, fontsize=9, rotation=0, ha="right", va="center", color=colour, fontweight="bold")
    axis.yaxis.set_major_locator(MaxNLocator(2))
    tidy(axis)
    axis.grid(visible=False)


def _label_residues(axis, sequence: str) -> None:
    axis.set_xticks([1, *range(10, len(sequence) + 1, 10 * (1 + len(sequence) // 250))])
    if len(sequence) > LETTERS_UP_TO:
        return
    axis.tick_params(axis="x", length=0, pad=12)
    for place, letter in enumerate(sequence, 1):
        below = axis.annotate(letter, (place, 0), xytext=(0, -3), textcoords="offset points", ha="center", va="top", fontsize=7)
        # The space is the padding of the tick labels; measuring every letter for the layout takes seconds.
        below.set_in_layout(False)


def series(metrics: Sequence[Mapping], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of one metric where it was logged as a finite number."""
    points = [(line["step"], line[key]) for line in metrics if isinstance(line.get(key), int | float)]
    steps, values = np.array(points, float).reshape(-1, 2).T
    return steps[np.isfinite(values)], values[np.isfinite(values)]


def tidy(axis) -> None:
    """Leaves what carries meaning: no box, a faint grid behind the data, small ticks."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(GREY)
    axis.grid(color="#E6E6E6", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, color=GREY)

"""Report figures of public benchmarks: bars, a radar, and curves over identity.

Families add their own.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from data_pipelines.common.figure_style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    tidy,
)
from eval.benchmarks.families import FAMILIES
from eval.reporting.base.curves import curve, finite, first_metric, small_multiples

COLOURS = (VERMILION, GREEN, INK, GREY, PURPLE, ORANGE, SKY, YELLOW, BLACK)
"""Of published models, in the order in which they are met; as many as `PUBLISHED` has."""
LEAST_AXES = 3
"""A radar needs at least this number of axes."""
CAPTIONS = {
    "benchmarks": "The first metric of each public benchmark beside its best control; pale: not "
    "the published data set. Line: 95 % interval. Published numbers may come from another "
    "protocol than ours; report.md names both.",
    "radar": "Benchmarks with published numbers; *: ours is not on the published data set; "
    "†: ours is "
    "by another protocol. A "
    "negative number is at the centre.",
    "identity": "Test proteins of at most an identity to the training proteins; lines: 95 % "
    "intervals.",
    **{name: caption for family in FAMILIES for name, caption in family.captions.items()},
}


def figures(results: Mapping[str, Mapping]) -> dict[str, Figure]:
    """Those of `CAPTIONS` that the results of `Suite.results` have numbers for."""
    measured = [result for result in results.values() if result.get("headline")]
    made = {
        "benchmarks": bars(measured),
        "radar": radar(measured),
        "identity": identity_curves(measured),
    }
    for family in FAMILIES:
        made |= family.figures(measured)
    return {name: figure for name, figure in made.items() if figure is not None}


def bars(measured: Sequence[Mapping]) -> Figure | None:
    """Plots each benchmark's first metric with interval, best control, and published numbers."""
    if not measured:
        return None
    figure = Figure(figsize=(max(4.0, 0.6 * len(measured) + 2), 3.4), layout="constrained")
    axis = figure.subplots()
    marks = {}
    for position, result in enumerate(measured):
        metric, value = first_metric(result)
        alpha = 1.0 if result["data"]["whole"] else 0.45
        ours = "this model" if not position else None
        axis.bar(
            position - 0.18, finite(value["mean"]), width=0.42, color=BLUE, alpha=alpha, label=ours
        )
        if value["interval"] and None not in value["interval"]:
            axis.vlines(position - 0.18, *value["interval"], color=INK, linewidth=1.2)
        if (control := best_control(result, metric)) is not None:
            beside = (
                None if "best control" in axis.get_legend_handles_labels()[1] else "best control"
            )
            axis.bar(position + 0.22, control, width=0.3, color=GREY, alpha=alpha, label=beside)
        for model, published in _published(result, metric).items():
            marks.setdefault(model, []).append((position, published))
    for colour, (model, points) in zip(COLOURS, marks.items(), strict=False):
        positions, values = zip(*points, strict=True)
        axis.scatter(
            positions, values, marker="_", s=160, color=colour, label=f"{model}, published"
        )
    labels = [f"{result['benchmark']}\n{first_metric(result)[0]}" for result in measured]
    axis.set_xticks(range(len(measured)), labels, rotation=60, ha="right", fontsize=7)
    axis.axhline(0, color=GREY, linewidth=0.8)
    axis.legend(fontsize=7, frameon=False)
    tidy(axis)
    return figure


def best_control(result: Mapping, metric: str) -> float | None:
    """A benchmark's best control in a metric, random weights among them; None without any."""
    found = [control["metrics"] for control in result["result"].get("controls", ())]
    found.append(result.get("random_weights", {}))
    return max(
        (finite(metrics[metric]["mean"]) for metrics in found if metric in metrics), default=None
    )


def radar(measured: Sequence[Mapping]) -> Figure | None:
    """Plots a radar with an axis for each benchmark with a published first metric.

    Axes go from 0 to 1; negative numbers lie at the centre.

    A star marks those that were not measured on the published data set, a dagger those that were
    measured by another protocol.
    """
    shown = [
        (result, *first_metric(result))
        for result in measured
        if _published(result, first_metric(result)[0])
    ]
    if len(shown) < LEAST_AXES:
        return None
    figure = Figure(figsize=(5.4, 4.6), layout="constrained")
    axis = figure.add_subplot(projection="polar")
    angles = np.linspace(0, 2 * np.pi, len(shown), endpoint=False)
    models = list(
        dict.fromkeys(model for result, metric, _ in shown for model in _published(result, metric))
    )
    lines = {"ours": [finite(value["mean"]) for _, _, value in shown]}
    for model in models:
        lines[f"{model}, published"] = [
            _published(result, metric).get(model, np.nan) for result, metric, _ in shown
        ]
    for colour, (name, values) in zip((BLUE, *COLOURS), lines.items(), strict=False):
        # NaN, where nobody published a number, breaks the line.
        round_, closed = (np.append(one, one[0]) for one in (angles, np.clip(values, 0, 1)))
        axis.plot(round_, closed, color=colour, linewidth=1.4, marker="o", ms=3, label=name)
        if name == "ours" and np.isfinite(closed).all():
            axis.fill(round_, closed, color=colour, alpha=0.12)
    marks = [_marks(result, metric) for result, metric, _ in shown]
    names = [
        f"{result['benchmark']}{mark}\n{metric}"
        for (result, metric, _), mark in zip(shown, marks, strict=True)
    ]
    axis.set_xticks(angles, names, fontsize=7)
    axis.tick_params(axis="x", pad=9)
    axis.set_ylim(0, 1)
    axis.set_yticks((0.25, 0.5, 0.75), ("0.25", "0.5", "0.75"), fontsize=6, color=INK)
    axis.grid(color=GREY, alpha=0.3)
    figure.legend(fontsize=7, frameon=False, loc="outside lower center", ncols=3)
    return figure


def _marks(result: Mapping, metric: str) -> str:
    """What keeps our number from being compared with the published ones."""
    others = {row["protocol"] for row in result["published"] if row["metric"] == metric}
    data = "" if result["data"]["whole"] else " *"
    return data + ("" if result["protocol"] in others else " †")


def identity_curves(measured: Sequence[Mapping]) -> Figure | None:
    """Plots the main metric below each cut-off of identity to training, with its interval."""
    shown = [result for result in measured if result["result"].get("identity_curve")]
    if not shown:
        return None
    figure, axes = small_multiples(len(shown))
    for axis, result in zip(axes, shown, strict=True):
        metric = result["result"]["main"]
        points = [point for point in result["result"]["identity_curve"] if point["metrics"]]
        cutoffs = [100 * point["cutoff"] for point in points]
        curve(
            axis,
            cutoffs,
            [point["metrics"][metric] for point in points],
            BLUE,
            label="below the cut-off",
        )
        axis.set_title(f"{result['benchmark']}, {metric}", fontsize=9, color=INK, loc="left")
        axis.set_xlabel("identity to training at most (%)", fontsize=8)
        axis.set_ylim(bottom=0)
        tidy(axis)
    return figure


def _published(result: Mapping, metric: str) -> dict[str, float]:
    return {row["model"]: row["value"] for row in result["published"] if row["metric"] == metric}

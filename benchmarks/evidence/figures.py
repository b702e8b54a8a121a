"""Plots how our recipe approaches the linear model with more steps, in the demo's world."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.evidence.measure import Measured
from benchmarks.evidence.plan import CURVE_SEEDS, CURVE_STEPS
from benchmarks.evidence.runs import JUDGE, load
from data_pipelines.common.figure_style import BLUE, GREY, INK, VERMILION, tidy

DEMO_STEPS = 900
"""The steps of `configs/quickstart.py`, which the study `demo` measures."""
TITLES = {"mrr": "retrieval, MRR", "map": "single questions, MAP"}
Found = Mapping[int, Mapping[str, Measured]]


def steps_curve(results: Path) -> Figure | None:
    """Draws a panel per quantity: each seed's runs, the linear model, and the judge for MRR.

    Returns None until every run of the curve is measured.
    """
    runs = {steps: load(results, "demo_steps", f"ours_{steps}") for steps in CURVE_STEPS}
    runs[DEMO_STEPS] = load(results, "demo", "ours")
    if any(seed not in found for found in runs.values() for seed in CURVE_SEEDS):
        return None
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    for axis, (quantity, title) in zip(figure.subplots(1, 2), TITLES.items(), strict=True):
        _lines(axis, dict(sorted(runs.items())), quantity)
        _control(axis, load(results, "demo", "linear"), quantity, "linear model", VERMILION)
        _control(axis, load(results, "demo", JUDGE), quantity, "judge (ceiling)", GREY)
        axis.set_title(title, fontsize=10, color=INK, loc="left")
        axis.set_xscale("log", base=2)
        axis.set_xticks(sorted(runs), sorted(runs))
        axis.set_xlabel("training steps", fontsize=9, color=INK)
        axis.set_ylim(0, 1)
        axis.legend(fontsize=8, frameon=False)
        tidy(axis)
    return figure


def _lines(axis, runs: Mapping[int, Found], quantity: str) -> None:
    for seed in CURVE_SEEDS:
        values = [found[seed][quantity].value for found in runs.values()]
        label = "network, a line per seed" if seed == CURVE_SEEDS[0] else None
        axis.plot(list(runs), values, "o-", color=BLUE, markersize=4, linewidth=1.2, label=label)


def _control(axis, found: Found, quantity: str, label: str, colour: str) -> None:
    """Draws the mean over the curve's seeds as a line; nothing if it is not measured."""
    measured = [found.get(seed, {}) for seed in CURVE_SEEDS]
    values = [each[quantity].value for each in measured if quantity in each]
    if values:
        axis.axhline(sum(values) / len(values), color=colour, linewidth=1.2, label=label)

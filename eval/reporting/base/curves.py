"""What several figures draw: small multiples, curves with intervals, and a metric over steps."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def small_multiples(count: int) -> tuple[Figure, Sequence[Axes]]:
    """A figure with `count` axes (at least one) in rows of three."""
    columns = min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(3.2 * columns, 2.7 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def curve(
    axis: Axes, positions: Sequence[float], values: Sequence[Mapping], colour: str, *, label: str
) -> None:
    """Means joined by a line, their intervals as strokes."""
    means = [finite(value["mean"]) for value in values]
    axis.plot(positions, means, color=colour, linewidth=1.4, marker="o", ms=3, label=label)
    for position, value in zip(positions, values, strict=True):
        if value["interval"] and None not in value["interval"]:
            axis.vlines(position, *value["interval"], color=colour, linewidth=1, alpha=0.6)


def first_metric(result: Mapping) -> tuple[str, Mapping]:
    """The metric that a benchmark's headline begins with, and its value."""
    return next(iter(result["headline"].items()))


def finite(value: float | None) -> float:
    """The number, NaN where it is undefined."""
    return np.nan if value is None else value


def series(
    metrics: Sequence[Mapping], key: str
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """Steps and values of one metric where it was logged as a finite number."""
    points = [
        (line["step"], line[key]) for line in metrics if isinstance(line.get(key), int | float)
    ]
    steps, values = np.array(points, float).reshape(-1, 2).T
    return steps[np.isfinite(values)], values[np.isfinite(values)]

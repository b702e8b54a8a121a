"""Numbers of a report that may be undefined."""

import math
from collections.abc import Sequence

UNDEFINED = "–"


def number(value: float | None) -> str:
    """Three significant digits, or a dash for None and NaN."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:#.3g}"


def interval(bounds: Sequence[float] | None) -> str:
    """`[low, high]`, or a dash."""
    if bounds is None or not all(map(math.isfinite, bounds)):
        return UNDEFINED
    return f"[{number(bounds[0])}, {number(bounds[1])}]"

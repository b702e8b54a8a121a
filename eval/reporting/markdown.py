"""Numbers of a report that may be undefined."""

import math
from collections.abc import Sequence

UNDEFINED = "–"


def number(value: float | None) -> str:
    """Three significant digits, or a dash for None and NaN."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:#.3g}"


def interval(bounds: Sequence[float | None] | None) -> str:
    """`[low, high]`, or a dash where there is none or a bound is None or NaN."""
    if bounds is None or any(bound is None or not math.isfinite(bound) for bound in bounds):
        return UNDEFINED
    return f"[{number(bounds[0])}, {number(bounds[1])}]"

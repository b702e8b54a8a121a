"""Small pieces of Markdown."""

import math
import re
from collections.abc import Sequence

_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")


def plain(text: object) -> str:
    """Escapes text of unknown origin so that Markdown shows it verbatim on one line."""
    line = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return _SPECIAL.sub(r"\\\1", line)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: first column left-aligned, the others right-aligned."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


UNDEFINED = "–"


def number(value: float | None) -> str:
    """Three significant digits, or a dash for None and NaN."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:#.3g}"


def interval(bounds: Sequence[float | None] | None) -> str:
    """`[low, high]`, or a dash if the interval or a bound is None or NaN."""
    if bounds is None or any(bound is None or not math.isfinite(bound) for bound in bounds):
        return UNDEFINED
    return f"[{number(bounds[0])}, {number(bounds[1])}]"

"""Small pieces of Markdown."""

import re
from collections.abc import Sequence

_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")


def plain(text: object) -> str:
    """A text, e.g. from a file that somebody sent, so that Markdown shows it as it is, in one line."""
    line = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return _SPECIAL.sub(r"\\\1", line)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column to the left, the others to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

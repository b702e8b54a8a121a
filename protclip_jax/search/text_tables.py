"""Prints answers as tables for a terminal."""

import sys
from collections.abc import Iterator

from data_pipelines.common.errors import one_line
from data_pipelines.common.extras import missing_extra
from protclip_jax.retrieval.answer import MODEL, Hit, verdict
from protclip_jax.retrieval.engine import PROTEINS
from protclip_jax.search.replies import Reply

ALIGNED_RIGHT = ("rank", "length", "cosine", "confidence", "q")


def print_tables(found: Iterator[Reply], least: float) -> None:
    """Prints a table for each query and aspect to stdout."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError as error:
        raise missing_extra("printing a table needs rich", "search", error) from error
    console = Console(width=None if sys.stdout.isatty() else 120)
    for query, aspect, answer in found:
        title = one_line(query.name if aspect == PROTEINS else f"{query.name} · {aspect}")
        table = Table(title=Text(title), title_justify="left", header_style="bold")
        proteins = any(hit.length is not None for hit in [*answer.matches, *answer.hits])
        more = ("gene", "organism", "length") if proteins else ()
        shown = "confidence" if any(hit.confidence for hit in answer.hits) else "q"
        by = ("by",) if any(hit.by != MODEL for hit in [*answer.matches, *answer.hits]) else ()
        for name in ("rank", "id", "what", *more, *by, "cosine", shown):
            table.add_column(
                name, justify="right" if name in ALIGNED_RIGHT else "left", overflow="fold"
            )
        for hit in [*answer.matches, *answer.hits]:
            source = (source_of(hit),) if by else ()
            numbers = ("", "") if hit.cosine is None else (f"{hit.cosine:.3f}", confidence_of(hit))
            about = (hit.gene or "", hit.organism or "", str(hit.length or "?")) if proteins else ()
            cells = (
                str(hit.rank),
                named(hit),
                described(hit),
                *map(one_line, about),
                *source,
                *numbers,
            )
            # `Text`, because rich would read brackets in a string as markup.
            table.add_row(*map(Text, cells))
        console.print(table)
        if answer.hits:
            console.print(Text(verdict(answer, least), style="dim"))


def named(hit: Hit) -> str:
    """The id, and on a second line the entry name unless the id contains it."""
    own = [hit.entry_name] if hit.entry_name and hit.entry_name not in hit.id else []
    return "\n".join(map(one_line, [hit.id, *own]))


def source_of(hit: Hit) -> str:
    """The source of the hit; for homology, with the identity of the alignment."""
    return f"{hit.by}, {hit.alignment.identity:.0%}" if hit.alignment else hit.by


def confidence_of(hit: Hit) -> str:
    """The confidence with its trait, or the q-value; '' if both are unknown."""
    if hit.confidence:
        return f"{hit.confidence.share:.2f} {hit.confidence.trait}"
    return "" if hit.q_value is None else f"{hit.q_value:.2g}"


def described(hit: Hit) -> str:
    """The name, and on a second line the function and location."""
    about = " · ".join(filter(None, (hit.function, hit.location)))
    return "\n".join(map(one_line, filter(None, (hit.name, about))))

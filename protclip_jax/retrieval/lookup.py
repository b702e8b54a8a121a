"""Looks up typed text among the names of an index's items, without the model."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow
import pyarrow.compute
from jaxtyping import Bool, Int64

from data_pipelines.protanno.accession import uniprot_accession
from data_pipelines.protanno.record import PREFIXES

EXACT = ("id", "accession", "entry name", "gene", "EC number", "GO id")
"""Kinds of names that can match exactly, in the order of the answer."""
NAME = "name"
"""The kind of match for items whose name contains the text."""
SHORTEST_PART = 3
"""Minimum number of letters of a text to search for inside names."""
_EC = re.compile(r"(?:EC[ :]?)?([1-7](?:\.(?:\d+|-)){1,3})", re.IGNORECASE)
_GO = re.compile(r"GO:\d{7}", re.IGNORECASE)


class Match(NamedTuple):
    """The row of a matching item and the kind of name that matched."""

    row: int
    by: str


def look_up(
    items: pyarrow.Table, typed: str, *, top: int, among: Int64[np.ndarray, " m"] | None = None
) -> list[Match]:
    """Finds items named by a text: exact matches, then names that contain it, each in row order.

    Matching ignores case. An EC number matches the numbers below it: `1.1` and `1.1.-.-` match
    `1.1.1.1`. A text with a property's prefix, such as `FUNCTION:`, matches nothing.

    Args:
      items: the items of an index.
      top: maximum number of exact matches, and of matches inside names.
      among: rows to search; None searches all.
    """
    typed = typed.strip()
    if not typed or any(typed.startswith(f"{prefix}:") for prefix in PREFIXES.values()):
        return []
    allowed = _allowed(len(items), among)
    exact: dict[int, str] = {}
    for by, found in _exact(items, typed):
        for row in np.flatnonzero(found & allowed)[:top].tolist():
            exact.setdefault(row, by)
    matches = [Match(row, by) for row, by in exact.items()][:top]
    if len(typed) < SHORTEST_PART or any(by != "gene" for by in exact.values()):
        return matches
    named = _flags(pyarrow.compute.match_substring(items["name"], typed, ignore_case=True))
    named[list(exact)] = False
    return matches + [Match(row, NAME) for row in np.flatnonzero(named & allowed)[:top].tolist()]


def _allowed(count: int, among: np.ndarray | None) -> Bool[np.ndarray, " n"]:
    if among is None:
        return np.ones(count, bool)
    allowed = np.zeros(count, bool)
    allowed[among] = True
    return allowed


def _exact(items: pyarrow.Table, typed: str) -> Iterator[tuple[str, Bool[np.ndarray, " n"]]]:
    """Yields the matching rows for each kind of name in `EXACT` that the items have."""
    yield "id", _equal(items["id"], typed)
    if "entry_name" not in items.column_names:
        return
    if accession := uniprot_accession(typed) or uniprot_accession(typed.upper()):
        yield "accession", _flags(pyarrow.compute.match_substring(items["id"], f"|{accession}|"))
    yield "entry name", _equal(items["entry_name"], typed)
    yield "gene", _has(items["genes"], f"^{re.escape(typed)}$")
    if number := _EC.fullmatch(typed):
        known = number[1].rstrip(".-")
        yield "EC number", _has(items["ec"], rf"^{re.escape(known)}(\.|$)")
    if _GO.fullmatch(typed):
        yield "GO id", _has(items["go"], f"^{typed}$")


def _equal(column: pyarrow.ChunkedArray, typed: str) -> Bool[np.ndarray, " n"]:
    return _flags(
        pyarrow.compute.match_substring_regex(column, f"^{re.escape(typed)}$", ignore_case=True)
    )


def _has(column: pyarrow.ChunkedArray, pattern: str) -> Bool[np.ndarray, " n"]:
    """Marks the rows in which one of the texts matches a pattern."""
    found, start = np.zeros(len(column), bool), 0
    for chunk in column.chunks:
        fits = pyarrow.compute.match_substring_regex(chunk.flatten(), pattern, ignore_case=True)
        parents = pyarrow.compute.list_parent_indices(chunk).to_numpy()
        found[start + parents[fits.to_numpy(zero_copy_only=False)]] = True
        start += len(chunk)
    return found


def _flags(found: pyarrow.ChunkedArray) -> Bool[np.ndarray, " n"]:
    return found.to_numpy().astype(bool)

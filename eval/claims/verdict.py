"""Whether a checkpoint's reports reproduce or contradict a claim, or why they cannot.

A number is reached where the upper end of our 95 % interval is not below it. A claim of a mean
improvement is judged by the mean over its quantities where every baseline is known. Every other
claim is judged by each quantity: against the number that the paper publishes for its model, or
where it claims to be the best, against the best number of others.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from eval.benchmarks.families import BENCHMARKS
from eval.claims.claims import Claim, Quantity
from eval.data.base.published import Published

REPRODUCED, CONTRADICTED, NOT_TESTABLE = "reproduced", "contradicted", "not testable"
UNVERIFIED = "no published number could be verified"


class Ours(NamedTuple):
    """Our number of a quantity."""

    mean: float
    upper: float
    """The upper end of the 95 % interval, or the mean without an interval."""


@dataclasses.dataclass(frozen=True)
class Row:
    """The numbers for one quantity of a claim; `ours` is None if `because` says why not."""

    quantity: Quantity
    paper: Published | None
    baseline: Published | None
    ours: Ours | None
    verdict: str
    because: str = ""


@dataclasses.dataclass(frozen=True)
class Judged:
    """A claim with its rows.

    Attributes:
      published_improvement: recomputed from published numbers, None where one is unknown.
      our_improvement: over the same baselines.
    """

    claim: Claim
    rows: Sequence[Row]
    published_improvement: float | None
    our_improvement: Ours | None
    verdict: str
    because: str = ""


def judge(claim: Claim, results: Mapping[str, Mapping], lacking: Mapping[str, str]) -> Judged:
    """The verdict on a claim.

    Args:
      results: benchmark → its result in report.json; empty without a checkpoint.
      lacking: benchmark → why it has no result, where more is known than the files that it needs.
    """
    rows = [_row(claim, quantity, results, lacking) for quantity in claim.quantities]
    published = _improvement(rows, lambda row: row.paper and row.paper.value)
    mean = _improvement(rows, lambda row: row.ours and row.ours.mean)
    upper = _improvement(rows, lambda row: row.ours and row.ours.upper)
    ours = None if mean is None else Ours(mean, upper)
    if claim.improvement is not None and published is not None:
        verdict, because = _of_mean(claim, rows, ours)
    else:
        verdict, because = _of_rows(rows)
    return Judged(claim, rows, published, ours, verdict, because)


def _improvement(rows: Sequence[Row], value) -> float | None:
    """The mean of value / baseline − 1, None where a value or a baseline is unknown."""
    values = [value(row) for row in rows]
    if None in values or any(row.baseline is None for row in rows):
        return None
    return float(
        np.mean([one / row.baseline.value - 1 for one, row in zip(values, rows, strict=True)])
    )


def _row(
    claim: Claim, quantity: Quantity, results: Mapping[str, Mapping], lacking: Mapping[str, str]
) -> Row:
    paper, baseline = quantity.of_paper, quantity.of_others
    reference = baseline if claim.improvement is None else paper
    ours, because = _ours(quantity, results, lacking)
    if (
        ours is not None
        and reference is not None
        and (by := results[quantity.benchmark]["protocol"]) != reference.protocol
    ):
        ours, because = (
            None,
            f"measured by another protocol ({by}) than the published number ({reference.protocol})",
        )
    if ours is None or reference is None:
        return Row(
            quantity, paper, baseline, ours, NOT_TESTABLE, because if reference else UNVERIFIED
        )
    return Row(
        quantity,
        paper,
        baseline,
        ours,
        REPRODUCED if ours.upper >= reference.value else CONTRADICTED,
    )


def _ours(
    quantity: Quantity, results: Mapping[str, Mapping], lacking: Mapping[str, str]
) -> tuple[Ours | None, str]:
    """Our number, or why there is no comparable one."""
    result = results.get(quantity.benchmark)
    if result is None or "headline" not in result:
        reasons = {"missing", "failed"} & (result or {}).keys()
        known = result[reasons.pop()] if reasons else lacking.get(quantity.benchmark)
        return None, known or f"missing: {BENCHMARKS[quantity.benchmark].wanted}"
    if not result["data"]["whole"]:
        return None, f"measured on other data: {result['data']['sentence']}"
    value = result["headline"].get(quantity.metric)
    if value is None or value["mean"] is None:
        return None, f"the report has no {quantity.metric} of {quantity.benchmark}"
    interval = value["interval"]
    return Ours(
        value["mean"], value["mean"] if interval is None or None in interval else interval[1]
    ), ""


def _of_mean(claim: Claim, rows: Sequence[Row], ours: Ours | None) -> tuple[str, str]:
    if ours is None:
        return NOT_TESTABLE, _first_reason(rows)
    return (REPRODUCED if ours.upper >= claim.improvement else CONTRADICTED), ""


def _of_rows(rows: Sequence[Row]) -> tuple[str, str]:
    """One number that is not reached contradicts; otherwise all must be reached."""
    if below := [row.quantity for row in rows if row.verdict == CONTRADICTED]:
        return (
            CONTRADICTED,
            "below the published number: "
            f"{', '.join(f'{one.benchmark} {one.metric}' for one in below)}",
        )
    if any(row.verdict == NOT_TESTABLE for row in rows):
        return NOT_TESTABLE, _first_reason(rows)
    return REPRODUCED, ""


def _first_reason(rows: Sequence[Row]) -> str:
    """Why the first untestable row cannot be tested, and the number of others."""
    untested = [row for row in rows if row.verdict == NOT_TESTABLE]
    others = f" (and {len(untested) - 1} more)" if len(untested) > 1 else ""
    return f"{untested[0].quantity.benchmark}: {untested[0].because}{others}"

"""The claims as a table for readers and as JSON."""

from collections.abc import Mapping, Sequence

from data_pipelines.common.markdown import UNDEFINED, number, plain, table
from eval.claims.claims import SOURCE
from eval.claims.verdict import UNVERIFIED, Judged, Row
from eval.data.base.published import Published

PAGE = """# The paper's claims

Stated in {source}. *Recomputed* is the same percentage from published numbers where both could be
verified.

{claims}

{rows}

Sources:

{sources}
"""


def markdown(judged: Sequence[Judged]) -> str:
    """A table of the claims, one of their numbers, and the sources."""
    rows = [(one.claim.name, row) for one in judged for row in one.rows]
    sources = sorted(
        {
            published.source
            for _, row in rows
            for published in (row.paper, row.baseline)
            if published
        }
    )
    claims = [_claim(one) for one in judged]
    numbers = [_row(name, row) for name, row in rows]
    return PAGE.format(
        source=SOURCE,
        claims=table(["claim", "stated", "recomputed", "ours", "verdict"], claims),
        rows=table(
            [
                "claim",
                "benchmark, metric",
                "paper",
                "best other",
                "paper over other",
                "ours",
                "verdict",
            ],
            numbers,
        ),
        sources="\n".join(f"- {source}" for source in sources),
    )


def _claim(one: Judged) -> list[str]:
    ours = None if one.our_improvement is None else one.our_improvement.mean
    return [
        one.claim.sentence,
        percent(one.claim.improvement),
        percent(one.published_improvement),
        percent(ours),
        _verdict(one.verdict, one.because),
    ]


def _row(name: str, row: Row) -> list[str]:
    return [
        name,
        f"{row.quantity.benchmark}, {row.quantity.metric}",
        number(row.paper.value) if row.paper else UNVERIFIED,
        f"{row.baseline.model} {number(row.baseline.value)}" if row.baseline else UNVERIFIED,
        percent(row.paper.value / row.baseline.value - 1)
        if row.paper and row.baseline
        else UNDEFINED,
        f"{number(row.ours.mean)} (up to {number(row.ours.upper)})" if row.ours else UNDEFINED,
        _verdict(row.verdict, row.because),
    ]


def percent(fraction: float | None) -> str:
    """A fraction with its sign, such as `+73.9 %`."""
    return UNDEFINED if fraction is None else f"{100 * fraction:+.1f} %"


def _verdict(verdict: str, because: str) -> str:
    return f"{verdict}: {plain(because)}" if because else verdict


def as_json(judged: Sequence[Judged], subject: Mapping[str, str]) -> dict:
    """The same for programs; `subject` says what was measured."""
    return {"source": SOURCE, **subject, "claims": [_claim_as_json(one) for one in judged]}


def _claim_as_json(one: Judged) -> dict:
    return {
        "name": one.claim.name,
        "claim": one.claim.sentence,
        "stated_improvement": one.claim.improvement,
        "recomputed_improvement": one.published_improvement,
        "our_improvement": one.our_improvement and one.our_improvement._asdict(),
        "verdict": one.verdict,
        "because": one.because,
        "numbers": [_row_as_json(row) for row in one.rows],
    }


def _row_as_json(row: Row) -> dict:
    return {
        "benchmark": row.quantity.benchmark,
        "metric": row.quantity.metric,
        "paper": _published(row.paper),
        "baseline": _published(row.baseline),
        "ours": row.ours and row.ours._asdict(),
        "verdict": row.verdict,
        "because": row.because,
    }


def _published(found: Published | None) -> dict | str:
    return (
        UNVERIFIED
        if found is None
        else {"model": found.model, "value": found.value, "source": found.source}
    )

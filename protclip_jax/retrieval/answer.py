"""Search results: hits with their annotation and confidence."""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from protclip_jax.retrieval.calibration import WORDS, Confidence
from protclip_jax.retrieval.scores import NOT_MEASURED, UNCALIBRATED

MODEL, HOMOLOGY, BOTH = "model", "homology", "homology and model"


class Alignment(NamedTuple):
    """A sequence search hit of the query protein to `target` (see `readers.hits.Hit`)."""

    target: str
    identity: float
    evalue: float
    bits: float


@dataclasses.dataclass(frozen=True, slots=True)
class Hit:
    """A protein or label found by a search.

    Attributes:
      rank: position from 1. The model ranks all items of an exact index, or the candidates of an
        approximate one. A look-up ranks its own matches, exact ones first.
      row: row of the item in its index.
      length: number of residues of a protein, 0 if unknown; None for a label.
      cosine: similarity of query and item, in [-1, 1]; None for a look-up.
      margin: the cosine minus the query's mean cosine with a random sample of the index.
      confidences: for each trait, the measured fraction of comparable hits that agree with their
        query, the most important trait first; empty if the checkpoint has no calibration for this
        kind of query.
      q_value: set if there are no confidences and the index has decoys (`scores.q_values`).
      by: source of the hit: `MODEL`, `HOMOLOGY`, `BOTH`, or the kind of name that a look-up
        matched (`lookup.EXACT`, `lookup.NAME`).
      alignment: set if homology found the hit; for a label, that of the nearest relative with it.
      entry_name, gene, organism: '' if unknown; `gene` is the primary name; None for a label.
      taxon: id of the organism in the NCBI taxonomy, 0 if unknown; None for a label.
      function, location: the first sentence of each; None for a label.
      evidence: codes of a protein's properties, such as `function ECO:0000269`; None for a label.
    """

    rank: int
    row: int
    id: str
    name: str
    source: str
    length: int | None
    cosine: float | None = None
    margin: float | None = None
    confidences: tuple[Confidence, ...] = ()
    q_value: float | None = None
    by: str = MODEL
    alignment: Alignment | None = None
    entry_name: str | None = None
    gene: str | None = None
    organism: str | None = None
    taxon: int | None = None
    function: str | None = None
    location: str | None = None
    evidence: tuple[str, ...] | None = None

    @property
    def confidence(self) -> Confidence | None:
        """Confidence in the most important trait; None if nothing was measured."""
        return self.confidences[0] if self.confidences else None


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The best hits of a query.

    Attributes:
      mean: mean cosine of the query with the background sample.
      background: number of items in that sample.
      matches: items found by looking up the query's text; shown before the hits.
      is_calibrated: whether the checkpoint or the index has a calibration, even if it only covers
        other kinds of queries.
    """

    hits: list[Hit]
    mean: float = 0.0
    background: int = 0
    matches: list[Hit] = dataclasses.field(default_factory=list)
    is_calibrated: bool = False


def as_dicts(hits: Iterable[Hit]) -> list[dict]:
    """Converts hits to dictionaries for JSON, without None; confidences are keyed by trait."""
    return [_as_dict(hit) for hit in hits]


def _as_dict(hit: Hit) -> dict:
    names = [field.name for field in dataclasses.fields(hit) if field.name != "confidences"]
    values = {name: getattr(hit, name) for name in names}
    known = {name: value for name, value in values.items() if value is not None}
    if hit.alignment:
        known["alignment"] = hit.alignment._asdict()
    if hit.confidences:
        known["confidences"] = {each.trait: each._asdict() for each in hit.confidences}
        known["confidence"] = hit.confidence._asdict()
    return known


def confidence_cells(hit: Hit) -> tuple[str, ...]:
    """Table cells: confidence, its lower bound, base rate, trait and q-value; '' if unknown."""
    known = hit.confidence
    shares = (
        (f"{known.share:.3f}", f"{known.low:.3f}", f"{known.base_rate:.5f}", known.trait)
        if known
        else ("",) * 4
    )
    return (*shares, "" if hit.q_value is None else f"{hit.q_value:.4g}")


def alignment_cells(hit: Hit) -> tuple[str, ...]:
    """Table cells: the relative found by sequence search, its identity and E-value; '' if none."""
    if hit.alignment is None:
        return ("",) * 3
    known = hit.alignment
    return (known.target, f"{known.identity:.3f}", f"{known.evalue:.3g}")


def check_least(least: float, name: str) -> None:
    """Raises UserError unless a minimum confidence is in [0, 1]; `name` names it in the message."""
    if not 0 <= least <= 1:
        raise UserError(f"{name}={least} must be from 0 to 1.")


def is_sure(hit: Hit, least: float) -> bool | None:
    """Whether a hit's confidence reaches `least`; None if that is unknown.

    It is unknown without a confidence, because a q-value does not measure agreement. It is also
    unknown if the confidence is low but a sequence search found the hit too, because confidence was
    measured for the model alone.
    """
    if hit.confidence is None:
        return None
    reached = hit.confidence.share >= least
    return reached or (None if hit.alignment else False)


def is_confident(answer: Answer, least: float) -> bool | None:
    """Whether the best hit is confident (`is_sure`); None if unknown or without hits."""
    return is_sure(answer.hits[0], least) if answer.hits else None


def not_known(answer: Answer) -> str:
    """Explains why an answer has no confidences: no calibration, or none for this query."""
    return NOT_MEASURED if answer.is_calibrated else UNCALIBRATED


def _percent(share: float) -> str:
    """Formats a percentage with at least two significant digits, because base rates are small."""
    return f"{share:.0%}" if share >= 0.1 else f"{100 * share:.2g}%"


def verdict(answer: Answer, least: float) -> str:
    """States in one sentence how confident the best hit is; '' without hits."""
    if not answer.hits:
        return ""
    best, sure = answer.hits[0], is_confident(answer, least)
    if sure is None and best.alignment:
        return (
            f"The best hit comes from the sequence search: {best.alignment.identity:.0%} identity "
            f"to {best.alignment.target}, E = {best.alignment.evalue:.2g}. How often such hits "
            "agree with their query was not measured."
        )
    if sure is None and best.q_value is not None:
        return (
            f"The best hit has q = {best.q_value:.2g}: in a list of such hits, about that share "
            "would be shuffled proteins. Whether the hit agrees with the query is unknown."
        )
    if sure is None:
        return not_known(answer)
    trait, share, low, base, queries = best.confidence
    known = (
        f"of hits like the best, {share:.0%} agreed with their query in {WORDS[trait]} "
        f"(at least {low:.0%}; {queries:,} queries; {_percent(base)} of random items agree)."
    )
    return known[0].upper() + known[1:] if sure else f"No confident answer: {known}"

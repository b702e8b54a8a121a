"""What a search answers: hits, what is known of them, and how sure they are."""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from protclip_jax.retrieval.calibration import WORDS, Confidence
from protclip_jax.retrieval.scores import NOT_MEASURED, UNCALIBRATED

MODEL, HOMOLOGY, BOTH = "model", "homology", "homology and model"


class Alignment(NamedTuple):
    """What a sequence search found between a question and a protein, as `readers.hits.Hit`."""

    target: str
    identity: float
    evalue: float
    bits: float


@dataclasses.dataclass(frozen=True, slots=True)
class Hit:
    """An item that was found.

    Attributes:
      rank: from 1, among the hits of the same origin: of the model's, among all items of an exact
        index, or among the candidates of an approximate one; of a look-up, exact matches first.
      row: the item's place in its index.
      length: a protein's residues, 0 where the index does not know them; None for a label.
      cosine: similarity of query and item, in [-1, 1]; None for a look-up's.
      margin: how far the cosine lies above the query's mean with a random sample of the index.
      confidences: by trait, the measured share of such hits that agree, the trait that matters most
        first; empty where the checkpoint was not calibrated for such a question.
      q_value: where there are no confidences and the index has decoys (`scores.q_values`).
      by: who found it: `MODEL`, `HOMOLOGY`, `BOTH`, or the name that a look-up found the item by
        (`lookup.EXACT`, `lookup.NAME`).
      alignment: of what homology found; of a label, that of the nearest relative that carries it.
      entry_name, gene, organism: '' where the index does not know them, `gene` the primary name;
        None for a label.
      taxon: the organism's id in NCBI's taxonomy, 0 where it is not known; None for a label.
      function, location: the first sentence of each; None for a label.
      evidence: of a protein's properties, `function ECO:0000269`; None for a label.
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
        """Of the trait that matters most; None where nothing was measured."""
        return self.confidences[0] if self.confidences else None


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The best hits of a query.

    Attributes:
      mean: of the query's cosines with the background, `background` items.
      matches: what a look-up of the query's text found, which comes before the hits.
      is_calibrated: whether the checkpoint or the index has a calibration, be it for other
        questions.
    """

    hits: list[Hit]
    mean: float = 0.0
    background: int = 0
    matches: list[Hit] = dataclasses.field(default_factory=list)
    is_calibrated: bool = False


def as_dicts(hits: Iterable[Hit]) -> list[dict]:
    """Hits for JSON, without what a label or a look-up does not have; confidences by their
    trait."""
    return [_as_dict(hit) for hit in hits]


def _as_dict(hit: Hit) -> dict:
    names = [field.name for field in dataclasses.fields(hit) if field.name != "confidences"]
    known = {name: value for name in names if (value := getattr(hit, name)) is not None}
    if hit.alignment:
        known["alignment"] = hit.alignment._asdict()
    if hit.confidences:
        known["confidences"] = {each.trait: each._asdict() for each in hit.confidences}
        known["confidence"] = hit.confidence._asdict()
    return known


def sureness_cells(hit: Hit) -> tuple[str, ...]:
    """Of a table: confidence, its lower end, base rate and trait, and the q-value; '' for what
    is not known."""
    known = hit.confidence
    shares = (
        (f"{known.share:.3f}", f"{known.low:.3f}", f"{known.base_rate:.5f}", known.trait)
        if known
        else ("",) * 4
    )
    return (*shares, "" if hit.q_value is None else f"{hit.q_value:.4g}")


def alignment_cells(hit: Hit) -> tuple[str, ...]:
    """Of a table: the relative that a sequence search found, its identity and E-value; '' without
    one."""
    if hit.alignment is None:
        return ("",) * 3
    known = hit.alignment
    return (known.target, f"{known.identity:.3f}", f"{known.evalue:.3g}")


def check_least(least: float, name: str) -> None:
    """Raises UserError for a least confidence that is no share; `name` is what the user calls
    it."""
    if not 0 <= least <= 1:
        raise UserError(f"{name}={least} must be from 0 to 1.")


def is_sure(hit: Hit, least: float) -> bool | None:
    """Whether a hit's confidence reaches `least`; None where that is not known.

    It is not known without a confidence: a q-value says nothing of agreement. Nor does a low
    confidence speak against what a sequence search has found too: it was measured for the model
    alone.
    """
    if hit.confidence is None:
        return None
    reached = hit.confidence.share >= least
    return reached or (None if hit.alignment else False)


def is_confident(answer: Answer, least: float) -> bool | None:
    """Whether the best hit is sure (`is_sure`); None where that is not known, and without hits."""
    return is_sure(answer.hits[0], least) if answer.hits else None


def not_known(answer: Answer) -> str:
    """The sentence on an answer without confidences: whether they can be measured."""
    return NOT_MEASURED if answer.is_calibrated else UNCALIBRATED


def _percent(share: float) -> str:
    """With two significant digits at least: base rates are small."""
    return f"{share:.0%}" if share >= 0.1 else f"{100 * share:.2g}%"


def verdict(answer: Answer, least: float) -> str:
    """A sentence on how sure the best hit is; '' without hits."""
    if not answer.hits:
        return ""
    best, sure = answer.hits[0], is_confident(answer, least)
    if sure is None and best.alignment:
        return (
            f"The best hit is of the sequence search, with {best.alignment.identity:.0%} identity "
            f"to {best.alignment.target} and E = {best.alignment.evalue:.2g}: how often such hits "
            "agree was not measured."
        )
    if sure is None and best.q_value is not None:
        return (
            f"The best hit has q = {best.q_value:.2g}: about that share of such a list would "
            "be shuffled proteins. "
            "Whether it agrees with the question is not known."
        )
    if sure is None:
        return not_known(answer)
    trait, share, low, base, questions = best.confidence
    known = (
        f"of hits like the best, {share:.0%} agreed in {WORDS[trait]} (at least {low:.0%}, "
        f"of {questions:,} questions; "
        f"{_percent(base)} of random items do)."
    )
    return known[0].upper() + known[1:] if sure else f"No confident answer: {known}"

"""Masked-segment recovery: does the true biotext help to predict masked residues?

Static segments of every protein of a fixed pool are masked as in training (`masking.segment_mask`)
and predicted twice: with the record's own biotext, and with a partner's. The partner is drawn from
the pool's records that have the same properties present and belong to another family: their
similarity texts (or names, if absent) share no content word.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int

from data_pipelines.common.markdown import interval, number, table
from data_pipelines.protanno.dataset import ProtAnno
from data_pipelines.protanno.features import annotated_residues
from data_pipelines.protanno.record import Record, property_texts
from data_pipelines.training.masking import segment_mask
from eval.baselines.position_guess import PositionGuess
from eval.metrics.statistics import bootstrap_interval, ratio
from eval.pretraining.evaluation import Evaluation, Model
from eval.pretraining.pool import fixed_pool, record_rng
from eval.pretraining.trained_baselines import TrainedBaselines

COMPARED = ("recovery_true_text", "recovery_shuffled_text", "difference")
HEADER = (
    "true biotext",
    "another family's biotext",
    "difference",
    "most frequent residue",
    "guess by position",
)
WITHOUT_TEXT = ("recovery_most_frequent_residue", "recovery_position_guess")
SECTION = """## Masked-segment recovery (BSR)

{verdict}

{table}

Fraction of masked residues that the BSR head recovers, over {proteins} proteins of the split
`{split}`; {without_partner} more have no partner and are left out. Two predictors without text:
always the most frequent residue, {most_frequent_residue}; and the most frequent residue at that
distance to the nearer end, counted in training proteins. Segments of 5–10 residues covering at
least 15 % of each protein are masked. *Another family's biotext*: of a random record of the pool
with the same properties present whose similarity text (else name) has no content word in common.
*Annotated*: covered by a feature of function, location or similarity. In brackets: 95 % bootstrap
intervals over proteins, paired for the difference."""

PHRASES = """belongs to the family superfamily subfamily type domain domains containing contains in
terminal section and a of or with similarity protein putative probable uncharacterized like
dependent binding chain subunit alpha beta"""
PHRASE_WORDS = frozenset(PHRASES.split())
"""Words of UniProt's phrases, which say nothing about the family."""


def family_words(record: Record) -> frozenset[str]:
    """The words that identify the family in the similarity text, or else in the name.

    Words longer than one letter that are not numbers and not in `PHRASE_WORDS`.
    """
    texts = property_texts(record)
    text = texts.get("similarity") or texts.get("name", "")
    content = re.findall(r"[a-z0-9]+", text.partition(":")[2].lower())
    return (
        frozenset(word for word in content if len(word) > 1 and not word.isdigit()) - PHRASE_WORDS
    )


def partners(records: Sequence[Record]) -> list[int | None]:
    """For each record the index of a random partner of another family, or None.

    A partner has the same properties present.
    """
    present = [tuple(property_texts(record)) for record in records]
    families = [family_words(record) for record in records]
    chosen: list[int | None] = []
    for index, record in enumerate(records):
        others = [
            other
            for other in range(len(records))
            if present[other] == present[index]
            and families[other].isdisjoint(families[index])
            and other != index
        ]
        chosen.append(int(record_rng(record, "partner").choice(others)) if others else None)
    return chosen


class SegmentRecovery(Evaluation):
    """Recovery on a split's first `pool` records with distinct biotexts, if they have a partner."""

    name = "segment_recovery"
    key = "bsr"

    def __init__(
        self, dataset: ProtAnno, *, split: str, pool: int = 256, max_existence: int | None = None
    ):
        chosen = fixed_pool(dataset, split=split, size=pool, max_existence=max_existence)
        pairs = [
            (index, other)
            for index, other in enumerate(partners(chosen.records))
            if other is not None
        ]
        self._split, self._without_partner = split, len(chosen.records) - len(pairs)
        self._records = [chosen.records[index] for index, _ in pairs]
        self._texts = [chosen.texts[index] for index, _ in pairs]
        self._other_texts = [chosen.texts[other] for _, other in pairs]
        self._masks = [
            segment_mask(np.ones(len(r.sequence), bool), record_rng(r, "segments"))
            for r in self._records
        ]
        self._masked = _per_protein(self._masks)
        self._annotated = [
            _any_feature(record)[mask]
            for record, mask in zip(self._records, self._masks, strict=True)
        ]

    def metrics(self, model: Model) -> dict[str, float]:
        """The fractions of masked residues recovered with the true and another family's text."""
        texts = {"true": self._texts, "shuffled": self._other_texts}
        correct = {name: _per_protein(self._correct(model, texts[name])) for name in texts}
        return {f"recovery_{name}_text": ratio(correct[name], self._masked) for name in texts}

    def report(
        self, model: Model, *, control: Model | None, baselines: TrainedBaselines | None = None
    ) -> dict:
        """Adds intervals, the paired difference, and the same over annotated residues alone.

        Also the most frequent residue.
        """
        true, shuffled = self._correct(model, self._texts), self._correct(model, self._other_texts)
        letter, guess = self._most_frequent_residue(), baselines and baselines.position_guess
        whole = [np.ones(count, bool) for count in self._masked]
        return {
            "split": self._split,
            "proteins": len(self._records),
            "without_partner": self._without_partner,
            "masked_residues": int(self._masked.sum()),
            "most_frequent_residue": letter,
            **self._without_text(letter, guess, whole),
            **_comparison(true, shuffled, self._masked),
            "annotated": {
                "masked_residues": int(_per_protein(self._annotated).sum()),
                **self._without_text(letter, guess, self._annotated),
                **_comparison(
                    _within(true, self._annotated),
                    _within(shuffled, self._annotated),
                    _per_protein(self._annotated),
                ),
            },
        }

    def _correct(self, model: Model, texts: Sequence[str]) -> list[Bool[np.ndarray, " _"]]:
        """Per protein, which of its masked residues are recovered."""
        sequences = [record.sequence for record in self._records]
        recovered = model.recover(sequences, self._masks, texts)
        return [
            _letters(letters) == _letters(sequence)[mask]
            for letters, sequence, mask in zip(recovered, sequences, self._masks, strict=True)
        ]

    def _most_frequent_residue(self) -> str:
        """The most frequent unmasked residue."""
        pairs = [
            (_letters(r.sequence), mask) for r, mask in zip(self._records, self._masks, strict=True)
        ]
        seen = Counter(letter for letters, mask in pairs for letter in letters[~mask].tolist())
        return chr(max(seen, key=lambda code: (seen[code], -code))) if seen else ""

    def _without_text(
        self, letter: str, guess: PositionGuess | None, parts: Sequence[Bool[np.ndarray, " _"]]
    ) -> dict[str, float]:
        """What two predictors without text recover of the masked residues in `parts`."""
        truths = [
            _letters(r.sequence)[mask] for r, mask in zip(self._records, self._masks, strict=True)
        ]
        total = _per_protein(parts)
        constant = [truth == ord(letter or " ") for truth in truths]
        result = {
            "recovery_most_frequent_residue": ratio(_per_protein(_within(constant, parts)), total)
        }
        if guess is not None:
            guessed = [
                truth == guess.at(mask) for truth, mask in zip(truths, self._masks, strict=True)
            ]
            result["recovery_position_guess"] = ratio(_per_protein(_within(guessed, parts)), total)
        return result

    @staticmethod
    def markdown(result: dict) -> str:
        """A table over all masked residues and over the annotated ones."""
        rows = [
            _row("all masked residues", result),
            _row("of them annotated", result["annotated"]),
        ]
        return SECTION.format(
            verdict=verdict(result),
            table=table(["", "residues", *HEADER], rows),
            **{
                name: result[name]
                for name in ("proteins", "split", "without_partner", "most_frequent_residue")
            },
        )


def _row(title: str, part: Mapping) -> list[str]:
    compared = [f"{number(part[key])} {interval(part[f'{key}_interval'])}" for key in COMPARED]
    without_text = [number(part.get(key)) for key in WITHOUT_TEXT]
    return [title, str(part["masked_residues"]), *compared, *without_text]


def verdict(result: dict) -> str:
    """States whether the true biotext helps, by the interval of the paired difference."""
    low, high = result["difference_interval"]
    if low > 0:
        return "Recovery is **better with the true biotext** than with another family's."
    if high < 0:
        return "Recovery is **worse with the true biotext** than with another family's."
    return (
        "Recovery is **not shown to be better with the true biotext** than with another family's."
    )


def _comparison(
    true: Sequence[np.ndarray], shuffled: Sequence[np.ndarray], total: Int[np.ndarray, " N"]
) -> dict:
    true, shuffled = _per_protein(true), _per_protein(shuffled)
    compared = dict(zip(COMPARED, (true, shuffled, true - shuffled), strict=True))
    values = {key: ratio(counts, total) for key, counts in compared.items()}
    return values | {
        f"{key}_interval": bootstrap_interval(counts, total) for key, counts in compared.items()
    }


def _per_protein(flags: Sequence[Bool[np.ndarray, " _"]]) -> Int[np.ndarray, " N"]:
    return np.array([np.count_nonzero(flag) for flag in flags], np.int64)


def _within(
    correct: Sequence[np.ndarray], annotated: Sequence[np.ndarray]
) -> list[Bool[np.ndarray, " _"]]:
    return [flags & part for flags, part in zip(correct, annotated, strict=True)]


def _any_feature(record: Record) -> Bool[np.ndarray, " L"]:
    covered = np.zeros(len(record.sequence), bool)
    for residues in annotated_residues(record).values():
        covered |= residues
    return covered


def _letters(sequence: str) -> np.ndarray:
    return np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)

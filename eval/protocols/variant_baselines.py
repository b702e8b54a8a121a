"""Baselines of variant effects without a protein language model."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from data_pipelines.inputs.substitutions import AMINO_ACIDS, Variant
from eval.data.base.task import Assay, MeasuredVariant
from eval.metrics.regression import spearman
from eval.protocols.blosum62 import BLOSUM62
from eval.protocols.ridge import PENALTIES, ridge_maps

BLOSUM, FEWEST = "BLOSUM62", "fewest substitutions"
SITE_INDEPENDENT = "site-independent, from the alignment"
ADDITIVE = "additive, learnt from the training split"
PSEUDOCOUNT = 1.0
"""Pseudo-count of a position's residues, spread evenly, added to the alignment's weight."""
HELD_OUT = 10
"""Every `HELD_OUT`-th training variant is used to choose the additive model's penalty."""

_COLUMN = {letter: column for column, letter in enumerate(AMINO_ACIDS)}
_NO_COLUMN = len(AMINO_ACIDS)


def baselines(assay: Assay) -> dict[str, Float[np.ndarray, " n"]]:
    """Baseline predictions for the assay's variants, as its data allow; larger is better."""
    variants = [measured.changes for measured in assay.variants]
    found = {BLOSUM: blosum_scores(variants), FEWEST: -np.array([len(v) for v in variants], float)}
    if assay.alignment:
        table = alignment_table(assay.alignment)
        found[SITE_INDEPENDENT] = _summed(table, variants)
    if assay.train:
        found[ADDITIVE] = additive(assay.train, variants)
    return found


def blosum_scores(variants: Sequence[Variant]) -> Float[np.ndarray, " n"]:
    """Σ B(w, v) − B(w, w): the loss in alignment score from wild type to variant."""
    scores = np.zeros(len(variants))
    for row, changes in enumerate(variants):
        for change in changes:
            own, new = _COLUMN[change.wild_type], _COLUMN[change.residue]
            scores[row] += BLOSUM62[own, new] - BLOSUM62[own, own]
    return scores


def alignment_table(alignment: Sequence[str]) -> Float[np.ndarray, "L 20"]:
    """log frequencies of residues in an alignment's columns (Hopf et al. 2017, site-independent).

    Sequences have Henikoff and Henikoff's (1994) position-based weights: in a column of k distinct
    residues, n of them equal to this sequence's, it gains 1 / (k·n). Gaps and non-standard letters
    are not counted.
    """
    letters = np.array([list(sequence) for sequence in alignment])
    codes = np.full(letters.shape, _NO_COLUMN)
    for letter, column in _COLUMN.items():
        codes[letters == letter] = column
    known = codes != _NO_COLUMN
    weights = np.zeros(len(codes))
    for column, present in zip(codes.T, known.T, strict=True):
        counts = np.bincount(column[present], minlength=_NO_COLUMN)
        distinct = np.count_nonzero(counts)
        weights[present] += 1 / (distinct * counts[column[present]])
    # Normalised so that weights sum to the number of sequences, whatever the length.
    weights *= len(weights) / max(weights.sum(), np.finfo(float).tiny)
    table = np.zeros((codes.shape[1], _NO_COLUMN))
    for row, (column, present) in enumerate(zip(codes.T, known.T, strict=True)):
        table[row] = np.bincount(column[present], weights[present], minlength=_NO_COLUMN)
    table = table + PSEUDOCOUNT / _NO_COLUMN
    return np.log(table / table.sum(1, keepdims=True))


def _summed(table: Float[np.ndarray, "L 20"], variants: Sequence[Variant]) -> np.ndarray:
    """Σ table(i, v) − table(i, w) over each variant's substitutions."""
    scores = np.zeros(len(variants))
    for row, changes in enumerate(variants):
        for change in changes:
            own, new = _COLUMN[change.wild_type], _COLUMN[change.residue]
            scores[row] += table[change.index, new] - table[change.index, own]
    return scores


def additive(
    train: Sequence[MeasuredVariant],
    variants: Sequence[Variant],
) -> Float[np.ndarray, " n"]:
    """An effect for each substitution by ridge regression on measured variants; not zero-shot.

    A substitution unseen in training has no effect. The penalty is the one of `PENALTIES` with the
    best Spearman correlation on every `HELD_OUT`-th training variant.
    """
    seen = {change for own in train for change in own.changes}
    place = {change: column for column, change in enumerate(sorted(seen))}
    x = np.stack([_one_hot(own.changes, place) for own in train])
    y = np.array([own.target for own in train], np.float64)
    held = np.random.default_rng(0).permutation(len(train)) % HELD_OUT == 0
    fits = ridge_maps(x[~held], y[~held][:, None], PENALTIES)
    judged = [spearman((x[held] @ weights + offset)[:, 0], y[held]) for weights, offset in fits]
    weights, offset = fits[int(np.argmax(np.nan_to_num(judged, nan=-1)))]
    scores = np.full(len(variants), offset[0])
    for row, changes in enumerate(variants):
        scores[row] += sum(weights[place[c], 0] for c in changes if c in place)
    return scores


def _one_hot(changes: Variant, place: Mapping) -> Float[np.ndarray, " D"]:
    row = np.zeros(len(place), np.float32)
    row[[place[change] for change in changes]] = 1
    return row

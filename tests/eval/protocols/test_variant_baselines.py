from fractions import Fraction

import numpy as np
import pytest

from data_pipelines.inputs.substitutions import (
    AMINO_ACIDS,
    differences,
    single_substitutions,
    substituted,
)
from eval.data.base.task import Assay, MeasuredVariant
from eval.protocols import variant_baselines
from eval.protocols.blosum62 import BLOSUM62
from eval.protocols.variant_baselines import (
    ADDITIVE,
    BLOSUM,
    FEWEST,
    SITE_INDEPENDENT,
    additive,
    alignment_table,
    baselines,
)

WILD_TYPE = "MKTAYIAKQR"


def random_variants(count, *, seed, wild_type=WILD_TYPE, depth=3):
    rng, variants = np.random.default_rng(seed), []
    for number in range(count):
        made = list(wild_type)
        for index in rng.choice(len(wild_type), 1 + number % depth, replace=False):
            made[index] = str(rng.choice(list(AMINO_ACIDS)))
        variants.append(differences(wild_type, "".join(made)))
    return variants


def test_the_matrix_is_the_published_one():
    matrices = pytest.importorskip("Bio.Align.substitution_matrices")
    published = matrices.load("BLOSUM62")
    expected = []
    for a in AMINO_ACIDS:
        expected.append([published[a, b] for b in AMINO_ACIDS])
    np.testing.assert_array_equal(BLOSUM62, expected)


def test_blosum_is_what_an_ungapped_alignment_loses():
    variants = random_variants(20, seed=0)
    assay = Assay("a", WILD_TYPE, [MeasuredVariant(own, 0.0) for own in variants])
    found = baselines(assay)
    assert found.keys() == {BLOSUM, FEWEST}

    def aligned(sequence):
        places = [
            (AMINO_ACIDS.index(a), AMINO_ACIDS.index(b))
            for a, b in zip(WILD_TYPE, sequence, strict=True)
        ]
        return sum(BLOSUM62[place] for place in places)

    lost = [aligned(substituted(WILD_TYPE, own)) - aligned(WILD_TYPE) for own in variants]
    np.testing.assert_array_equal(found[BLOSUM], lost)
    np.testing.assert_array_equal(found[FEWEST], [-len(own) for own in variants])


def test_position_based_weights_are_henikoff_and_henikoffs():
    """The example of their paper of 1994: weights 4/15, 4/15, 3/15, 4/15."""
    alignment = ["GYVGS", "GFDGF", "GYDGF", "GYQGG"]
    weights = [4 * Fraction(part, 15) for part in (4, 4, 3, 4)]
    table = alignment_table(alignment)
    for place in range(5):
        for column, letter in enumerate(AMINO_ACIDS):
            own = sum(w for w, s in zip(weights, alignment, strict=True) if s[place] == letter)
            frequency = float((own + Fraction(1, 20)) / (sum(weights) + 1))
            assert table[place, column] == pytest.approx(np.log(frequency))


def test_gaps_count_nowhere_and_the_table_is_read_by_substitution():
    variants = single_substitutions("GYV")
    assay = Assay(
        "a", "GYV", [MeasuredVariant(own, 0.0) for own in variants], alignment=("GYV", "GYV", "G-X")
    )
    scores, table = baselines(assay)[SITE_INDEPENDENT], alignment_table(assay.alignment)
    np.testing.assert_allclose(np.exp(table).sum(1), 1)
    for (change,), score in zip(variants, scores, strict=True):
        new, own = AMINO_ACIDS.index(change.residue), AMINO_ACIDS.index(change.wild_type)
        assert score == pytest.approx(table[change.index, new] - table[change.index, own])
    # Weights 4/3, 4/3 and 1/3: of Y tell the first two, and a pseudocount of 1.
    frequency = np.exp(alignment_table(("GYV", "GYV", "G--"))[1, AMINO_ACIDS.index("Y")])
    assert frequency == pytest.approx((8 / 3 + 1 / 20) / (8 / 3 + 1))


def test_additive_effects_are_found():
    variants = random_variants(400, seed=1)
    effects = dict.fromkeys({change for own in variants for change in own})
    rng = np.random.default_rng(2)
    effects = {change: rng.normal() for change in sorted(effects)}

    def effect(own):
        return 3 + sum(effects[change] for change in own)

    measured = [MeasuredVariant(own, effect(own)) for own in variants]
    known = [own for own in random_variants(100, seed=3) if effects.keys() >= set(own)]
    expected = list(map(effect, known))
    assert np.corrcoef(additive(measured, known), expected)[0, 1] > 0.98
    wild_type, unseen = additive(measured[:50], [(), single_substitutions("W")[0]])
    assert wild_type == unseen
    assay = Assay("a", WILD_TYPE, measured[:10], train=tuple(measured[10:]))
    assert baselines(assay).keys() == {BLOSUM, FEWEST, ADDITIVE}
    assert len(measured) > variant_baselines.HELD_OUT

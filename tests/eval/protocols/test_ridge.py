"""Features of sequences alone, and ridge regression on them."""

import itertools

import numpy as np
import pytest

from eval.baselines.bags import AMINO_ACIDS
from eval.protocols.problem import Problem
from eval.protocols.ridge import PENALTIES, Ridge, ridge_maps
from eval.protocols.sequence_features import KMER_COLUMNS, composition, kmer_frequencies
from tests.support import problems


def test_composition_is_the_share_of_each_letter():
    shares = composition(["AACX", "YYYY"])
    assert shares.dtype == np.float32
    assert shares[0, AMINO_ACIDS.index("A")] == 0.5
    assert shares[0, AMINO_ACIDS.index("C")] == 0.25
    assert shares[0].sum() == 0.75  # X is none of the 20
    assert shares[1, AMINO_ACIDS.index("Y")] == 1
    assert composition([]).shape == (0, 20)


def test_kmers_are_counted_in_hashed_columns():
    vectors = kmer_frequencies(["ACDACD", "CDA", "AC", "AXCXD"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 0, 0], rtol=1e-6)
    # ACD twice, CDA and DAC once.
    np.testing.assert_allclose(
        np.sort(vectors[0])[-3:], np.array([1, 1, 2]) / np.sqrt(6), rtol=1e-6
    )
    assert vectors[0, vectors[1].argmax()] == pytest.approx(1 / np.sqrt(6))
    columns = kmer_frequencies(
        ["".join(letters) for letters in itertools.product(AMINO_ACIDS, repeat=3)]
    ).argmax(1)
    shared = np.bincount(columns, minlength=KMER_COLUMNS)
    assert shared.min() >= 1
    assert shared.max() <= 3 * 8000 / KMER_COLUMNS


@pytest.mark.parametrize("rows", [4, 5000])
def test_ridge_maps_solve_the_normal_equations(rows):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, 6)).astype(np.float32) + 3, rng.normal(size=(rows, 2))
    augmented = np.column_stack([x, np.ones(rows)]).astype(np.float64)
    for penalty, (weights, offset) in zip((0.1, 100), ridge_maps(x, y, (0.1, 100)), strict=True):
        penalties = penalty * np.diag([1] * 6 + [0])
        expected = np.linalg.solve(augmented.T @ augmented + penalties, augmented.T @ y)
        np.testing.assert_allclose(weights, expected[:6], atol=1e-8)
        np.testing.assert_allclose(offset, expected[6], atol=1e-8)


@pytest.mark.parametrize("kind", problems.all_kinds())
def test_the_penalty_is_the_best_on_valid(kind):
    judge = problems.judge(kind)
    task = problems.task(kind)
    score = judge.metrics[judge.main]
    problem = Problem("p", kind, problems.CLASSES, task.splits, score)
    fitted = Ridge(problems.features)(problem)
    assert score(fitted.outputs["test"][0], problem.targets("test")) > {
        "multiclass": 0.7,
        "multilabel": 0.7,
    }.get(kind, 0.95)
    judged = []
    for penalty in PENALTIES:
        alone = Problem("p", kind, problems.CLASSES, task.splits, score)
        x, y = problems.features(alone.sequences("train")), alone.targets("train")
        y = np.eye(3)[y] if kind == "multiclass" else y.reshape(len(y), -1).astype(float)
        ((weights, offset),) = ridge_maps(x, y, (penalty,))
        outputs = problems.features(alone.sequences("valid")) @ weights + offset
        judged.append(score(outputs.astype(np.float32), alone.targets("valid")))
    assert fitted.facts["penalty"] == PENALTIES[int(np.argmax(judged))]
    assert fitted.facts["best_valid"] == [pytest.approx(max(judged), abs=1e-4)]

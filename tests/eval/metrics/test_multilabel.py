import time
import warnings

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics import average_precision, fmax, multilabel, multilabel_intervals
from eval.metrics.statistics import bootstrap_metric


def slow_fmax(scores, labels):
    """CAFA's formula, threshold by threshold and protein by protein."""
    best = 0.0
    for threshold in np.unique(scores):
        precisions, recalls = [], []
        for row, true in zip(scores, labels, strict=True):
            predicted = row >= threshold
            if predicted.any():
                precisions.append(np.sum(predicted & true) / predicted.sum())
            if true.any():
                recalls.append(np.sum(predicted & true) / true.sum())
        p, r = np.mean(precisions), np.mean(recalls)
        best = max(best, 2 * p * r / (p + r) if p + r else 0.0)
    return best


def prefix_fmax(scores, labels):
    """TorchDrug's: after each single prediction in the order of scores; the recall is a mean
    over all proteins."""
    predicted, true = np.zeros(len(scores)), np.zeros(len(scores))
    best = 0.0
    for position in np.argsort(-scores.ravel()):
        row, column = divmod(position, scores.shape[1])
        predicted[row] += 1
        true[row] += labels[row, column]
        p = np.mean(true[predicted > 0] / predicted[predicted > 0])
        r = np.mean(true / np.maximum(labels.sum(1), 1))
        best = max(best, 2 * p * r / (p + r) if p + r else 0.0)
    return best


def example(seed, rows, classes, levels, often):
    """Scores at `levels` values, some of them infinite; labels with an empty class, and proteins
    without any."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(levels, size=(rows, classes)) / levels - 0.5
    scores[rng.random(scores.shape) < 0.05] = rng.choice([-np.inf, np.inf])
    labels = rng.random((rows, classes)) < often
    labels[:, -1] = False
    return scores, labels


EXAMPLES = {
    "seed": st.integers(0, 2**32),
    "rows": st.integers(1, 12),
    "classes": st.integers(2, 9),
    "levels": st.sampled_from([1, 2, 4, 10**6]),
    "often": st.sampled_from([0.05, 0.3, 1.0]),
}


@settings(deadline=None, max_examples=150)
@given(**EXAMPLES)
def test_average_precision_is_scikit_learns(**options):
    scores, labels = example(**options)
    if not labels.any():
        assert np.isnan(average_precision(scores, labels))
        return
    finite = np.clip(scores, -9, 9)
    reference = sklearn.metrics.average_precision_score(labels, finite, average="micro")
    assert average_precision(scores, labels) == pytest.approx(reference, abs=1e-12)
    assert average_precision(finite.astype(np.float32), labels) == pytest.approx(
        reference, abs=1e-6
    )


@settings(deadline=None, max_examples=150)
@given(**EXAMPLES)
def test_fmax_is_the_formula(**options):
    scores, labels = example(**options)
    if not labels.any():
        assert np.isnan(fmax(scores, labels))
        return
    assert fmax(scores, labels) == pytest.approx(slow_fmax(scores, labels), abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_fmax_without_ties_is_torchdrugs(seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.permutation(60).reshape(6, 10) / 7, rng.random((6, 10)) < 0.3
    labels[:, 0] = True
    assert fmax(scores, labels) == pytest.approx(prefix_fmax(scores, labels), abs=1e-12)


def test_fmax_by_hand():
    labels = np.array([[1, 1, 0], [1, 0, 0]], bool)
    scores = np.array([[0.9, 0.5, 0.1], [0.2, 0.3, 0.1]])
    # At 0.5 only the first protein has predictions, both true: P = 1, R = 1/2. At 0.2: P = 3/4, R =
    # 1.
    assert fmax(scores, labels) == pytest.approx(2 * 0.75 / 1.75)
    assert fmax(labels.astype(float), labels) == 1.0


def test_scores_may_be_of_any_type():
    rng = np.random.default_rng(3)
    scores, labels = rng.integers(0, 200, (20, 6)), rng.random((20, 6)) < 0.3
    for kind in (np.uint8, np.int16, np.float16, np.float64):
        assert fmax(scores.astype(kind), labels) == pytest.approx(
            slow_fmax(scores, labels), abs=1e-12
        )


def test_a_protein_without_labels_counts_in_precision_only():
    scores, labels = np.array([[0.9, 0.1], [0.8, 0.0]]), np.array([[True, False], [False, False]])
    assert fmax(scores, labels) == 1.0
    assert fmax(scores[:, ::-1], labels) == pytest.approx(slow_fmax(scores[:, ::-1], labels))
    assert fmax(np.array([[0.5, 0.1], [0.8, 0.0]]), labels) == pytest.approx(2 / 3)


@pytest.mark.parametrize("metric", [average_precision, fmax])
@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (3, 4)])
def test_no_label_and_no_number_are_undefined(metric, shape):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(metric(np.zeros(shape), np.zeros(shape, bool)))
        assert np.isnan(metric(np.full((2, 2), np.nan), np.eye(2, dtype=bool)))


def test_chunks_do_not_change_the_numbers(monkeypatch):
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(30, size=(50, 7)), rng.random((50, 7)) < 0.2
    whole = fmax(scores, labels), multilabel_intervals(scores, labels, resamples=50)
    monkeypatch.setattr(multilabel, "SCORES_AT_ONCE", 21)
    chunked = fmax(scores, labels), multilabel_intervals(scores, labels, resamples=50)
    assert chunked[0] == pytest.approx(whole[0], abs=1e-12)
    for name, interval in whole[1].items():
        assert chunked[1][name] == pytest.approx(interval)


@pytest.mark.parametrize("name", ["aupr", "fmax"])
def test_intervals_are_those_of_the_exact_metrics(name):
    rng = np.random.default_rng(5)
    labels = rng.random((150, 40)) < 0.1
    scores = rng.normal(size=labels.shape) + 1.5 * labels
    metric = {"aupr": average_precision, "fmax": fmax}[name]
    exact = bootstrap_metric(metric, scores, labels, seed=0, resamples=400)
    fast = multilabel_intervals(scores, labels, seed=0, resamples=400)[name]
    np.testing.assert_allclose(fast, exact, atol=0.1 * (exact[1] - exact[0]))


@pytest.mark.parametrize("noise", [0.12, 0.16])
def test_nothing_is_above_one(noise):
    rng = np.random.default_rng(0)
    labels = rng.random((300, 40)) < 0.1
    scores = labels + noise * rng.normal(size=labels.shape)
    assert fmax(np.tile(scores, (3, 1)), np.tile(labels, (3, 1))) <= 1
    for low, high in multilabel_intervals(scores, labels, resamples=200).values():
        assert 0.9 < low <= high <= 1


def test_intervals_of_what_is_undefined():
    labels = np.eye(3, dtype=bool)
    assert np.isnan(multilabel_intervals(np.zeros((3, 3)), labels & False)["aupr"]).all()
    assert np.isnan(multilabel_intervals(np.zeros((1, 3)), labels[:1])["fmax"]).all()


@pytest.mark.soak
def test_twenty_thousand_proteins_of_two_thousand_classes():
    rng = np.random.default_rng(0)
    labels = rng.random((20_000, 2_000)) < 0.006
    scores = rng.random(labels.shape, dtype=np.float32) + 0.3 * labels
    start = time.monotonic()
    assert 0.2 < average_precision(scores, labels) < fmax(scores, labels) < 0.6
    assert time.monotonic() - start < 60

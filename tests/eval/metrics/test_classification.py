import warnings

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics import accuracy, class_f1, macro_f1, micro_f1


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 30),
    classes=st.integers(1, 6),
    often=st.sampled_from([0, 0.1, 0.5, 1]),
)
def test_f1_is_scikit_learns(seed, rows, classes, often):
    rng = np.random.default_rng(seed)
    predicted, labels = rng.random((rows, classes)) < often, rng.random((rows, classes)) < 0.2
    labels[:, 0] = False
    kept = {"zero_division": np.nan}
    each = (
        sklearn.metrics.f1_score(labels, predicted, average=None, **kept)
        if classes > 1
        else class_f1(predicted, labels)
    )
    np.testing.assert_allclose(class_f1(predicted, labels), each, atol=1e-12)
    if classes > 1:
        reference = sklearn.metrics.f1_score(labels, predicted, average="macro", **kept)
        np.testing.assert_allclose(macro_f1(predicted, labels), reference, atol=1e-12)
    flat = sklearn.metrics.f1_score(labels.ravel(), predicted.ravel(), **kept)
    np.testing.assert_allclose(micro_f1(predicted, labels), flat, atol=1e-12)


def test_f1_by_hand():
    labels = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]], bool)
    predicted = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]], bool)
    np.testing.assert_allclose(class_f1(predicted, labels), [4 / 5, 0, 0, np.nan])
    assert micro_f1(predicted, labels) == pytest.approx(4 / 8)
    assert macro_f1(predicted, labels) == pytest.approx(4 / 15)


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (4, 3)])
def test_f1_of_nothing_is_undefined(shape):
    nothing = np.zeros(shape, bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(micro_f1(nothing, nothing))
        assert np.isnan(macro_f1(nothing, nothing))


def test_accuracy_is_the_share_of_equal_classes():
    labels, predicted = np.array([0, 1, 2, 2]), np.array([0, 2, 2, 2])
    assert accuracy(predicted, labels) == 0.75
    assert np.isnan(accuracy(labels[:0], labels[:0]))

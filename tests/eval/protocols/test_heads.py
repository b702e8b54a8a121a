"""The head and its losses against float64 NumPy; targets as arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eval.protocols.heads import KINDS, Scale, TwoLayerHead
from tests.support.problems import reference_loss


@pytest.mark.parametrize("kind", KINDS)
def test_losses_equal_numpy(kind):
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(20, 1 if kind == "regression" else 5)) * 4
    targets = {
        "multiclass": rng.integers(5, size=20),
        "multilabel": rng.random((20, 5)) < 0.3,
        "regression": rng.normal(size=20).astype(np.float32),
    }[kind]
    got = KINDS[kind].loss(jnp.asarray(outputs, jnp.float32), jnp.asarray(targets))
    np.testing.assert_allclose(got, reference_loss(kind, outputs, targets), rtol=1e-5, atol=1e-6)


def test_head_is_two_layers_with_relu_between():
    head = TwoLayerHead(7, 3)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5)), jnp.float32)
    params = head.init(jax.random.key(0), x)["params"]
    first, second = (
        jax.tree.map(lambda p: np.asarray(p, np.float64), params[name])
        for name in ("hidden", "output")
    )
    first["bias"] = np.linspace(-1, 1, 7)
    params["hidden"]["bias"] = first["bias"].astype(np.float32)
    hidden = np.maximum(x @ first["kernel"] + first["bias"], 0)
    assert (hidden == 0).any()
    np.testing.assert_allclose(
        head.apply({"params": params}, x),
        hidden @ second["kernel"] + second["bias"],
        rtol=1e-5,
        atol=1e-6,
    )


def test_targets_as_arrays():
    assert KINDS["multiclass"].encode([2, 0], 3).tolist() == [2, 0]
    assert KINDS["multilabel"].encode([(0, 2), ()], 3).tolist() == [
        [True, False, True],
        [False, False, False],
    ]
    encoded = KINDS["regression"].encode([1.5, -2], 0)
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [1.5, -2]


def test_scale_standardises_numbers_and_leaves_classes():
    targets = np.array([50.0, 60, 70], np.float32)
    scale = Scale.of(targets)
    standard = scale.standardise(targets)
    assert (abs(standard.mean()), standard.std()) == pytest.approx((0, 1), abs=1e-6)
    np.testing.assert_allclose(scale.restore(standard[:, None])[:, 0], targets, rtol=1e-6)
    constant = Scale.of(np.full(3, 7.0, np.float32))
    assert constant.standardise(np.full(3, 7.0, np.float32)).tolist() == [0, 0, 0]
    classes = np.array([0, 5, 9])
    assert Scale.of(classes).standardise(classes).tolist() == [0, 5, 9]

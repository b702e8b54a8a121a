"""Layer norm against Flax and a float64 definition, and what its backward pass saves."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from protclip_jax.models.layer_norm import LayerNorm
from protclip_jax.models.layers import REMAT_POLICIES

SHAPE = (2, 7, 12)


def arrays():
    """Returns x with a large mean, scale, bias and a cotangent."""
    rng = np.random.default_rng(3)
    draw = lambda *shape: rng.standard_normal(shape)  # noqa: E731
    return 30 + 2 * draw(*SHAPE), 1 + 0.3 * draw(SHAPE[-1]), draw(SHAPE[-1]), draw(*SHAPE)


def definition(x, scale, bias, epsilon=1e-5):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * scale + bias


def value_and_gradients(norm, x, scale, bias, cotangent):
    parameters = {"params": {"scale": jnp.float32(scale), "bias": jnp.float32(bias)}}
    out, pull_back = jax.vjp(norm.apply, parameters, x)
    return out, *pull_back(jnp.asarray(cotangent, out.dtype))


def test_value_and_gradients_are_those_of_the_definition():
    """Central differences in float64 along a random direction of each argument."""
    x, scale, bias, cotangent = arrays()
    out, parameters, d_x = value_and_gradients(
        LayerNorm(1e-5, "float32"), jnp.float32(x), scale, bias, cotangent
    )
    np.testing.assert_allclose(out, definition(x, scale, bias), rtol=1e-5, atol=2e-5)
    d_scale, d_bias = (parameters["params"][name] for name in ("scale", "bias"))
    direction, step = np.random.default_rng(4).standard_normal(SHAPE), 1e-5
    for index, gradient in enumerate((d_x, d_scale, d_bias)):
        towards = direction if index == 0 else direction[0, 0]
        sides = []
        for sign in (1, -1):
            moved = [x, scale, bias]
            moved[index] = moved[index] + sign * step * towards
            sides.append((definition(*moved) * cotangent).sum())
        assert float((gradient * towards).sum()) == pytest.approx(
            (sides[0] - sides[1]) / (2 * step), rel=2e-4
        )


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 1e-2)])
def test_equals_the_librarys(dtype, tolerance):
    x, scale, bias, cotangent = arrays()
    x = jnp.asarray(x - 30, dtype)
    ours = value_and_gradients(LayerNorm(1e-5, dtype), x, scale, bias, cotangent)
    theirs = value_and_gradients(
        nn.LayerNorm(epsilon=1e-5, dtype=dtype, use_fast_variance=False), x, scale, bias, cotangent
    )
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(
            np.float32(one), np.float32(other), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize(
    "wrapped", [lambda f: f, lambda f: jax.checkpoint(f, policy=REMAT_POLICIES["none"])]
)
def test_no_float32_array_of_its_size_is_kept(wrapped):
    norm, x = LayerNorm(1e-5, "bfloat16"), jnp.ones(SHAPE, jnp.bfloat16)
    parameters = norm.init(jax.random.key(0), x)
    pull_back = jax.eval_shape(lambda x: jax.vjp(wrapped(norm.apply), parameters, x)[1], x)
    assert not [
        leaf
        for leaf in jax.tree.leaves(pull_back)
        if leaf.shape == SHAPE and leaf.dtype == jnp.float32
    ]

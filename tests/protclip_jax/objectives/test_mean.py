import chex
import jax
import jax.numpy as jnp
import numpy as np

from protclip_jax.objectives.mean import Mean


def test_means_merge_by_their_counts():
    values = np.random.default_rng(0).normal(size=7).astype(np.float32)
    whole = Mean.over(jnp.asarray(values), jnp.ones(7, bool))
    parts = Mean.over(jnp.asarray(values[:2]), jnp.ones(2, bool)) + Mean.over(
        jnp.asarray(values[2:]), jnp.ones(5, bool)
    )
    np.testing.assert_allclose(parts.value(), values.mean(), rtol=1e-6)
    chex.assert_trees_all_close(parts, whole, rtol=1e-6)


def test_masked_values_do_not_count_even_if_nan():
    mean = Mean.over(jnp.array([1.0, jnp.nan, 3.0]), jnp.array([True, False, True]))
    assert (float(mean.sum), float(mean.count)) == (4.0, 2.0)


def test_nothing_counted_is_zero_with_zero_gradient():
    value, gradient = jax.value_and_grad(lambda x: Mean.over(x, jnp.zeros(3, bool)).value())(
        jnp.ones(3)
    )
    assert float(value) == 0.0
    np.testing.assert_array_equal(gradient, np.zeros(3))


def test_the_gradient_by_the_sum_is_zero_too_when_nothing_counts():
    assert float(jax.grad(lambda total: Mean(total, jnp.float32(0)).value())(jnp.float32(0))) == 0.0


def test_low_precision_values_are_summed_in_float32():
    mean = Mean.over(jnp.full(4096, 1.0, jnp.bfloat16), jnp.ones(4096, bool))
    chex.assert_type([mean.sum, mean.count], jnp.float32)
    assert float(mean.sum) == 4096.0

"""Layer norm whose backward pass saves only the input, not float32 intermediates."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class LayerNorm(nn.Module):
    """(x − mean) / √(variance + epsilon) · scale + bias over the last axis, returned in `dtype`.

    Ba et al. 2016, eq. 4.
    """

    epsilon: float
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, "*N D"]) -> Float[Array, "*N D"]:
        scale = self.param("scale", nn.initializers.ones, x.shape[-1:], jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, x.shape[-1:], jnp.float32)
        return layer_norm(x, scale, bias, self.epsilon, self.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def layer_norm(
    x: Float[Array, "*N D"],
    scale: Float[Array, " D"],
    bias: Float[Array, " D"],
    epsilon: float,
    dtype: str,
) -> Float[Array, "*N D"]:
    """Computes `LayerNorm` in float32, with the variance in a second pass.

    E[x²] − E[x]² would cancel for large means. JAX's own derivative would save three float32 arrays
    as large as x, also under a remat policy that saves all results.
    """
    return _forward(x, scale, bias, epsilon, dtype)[0]


def _forward(x, scale, bias, epsilon, dtype):
    x32 = x.astype(jnp.float32)
    mean = x32.mean(-1, keepdims=True)
    inverse = jax.lax.rsqrt(jnp.square(x32 - mean).mean(-1, keepdims=True) + epsilon)
    return ((x32 - mean) * (inverse * scale) + bias).astype(dtype), (x, scale, mean, inverse)


def _backward(epsilon, dtype, saved, d_out):
    x, scale, mean, inverse = saved
    d_out, normed = d_out.astype(jnp.float32), (x.astype(jnp.float32) - mean) * inverse
    over_rows = tuple(range(x.ndim - 1))
    d_normed = d_out * scale
    along = d_normed.mean(-1, keepdims=True) + normed * (d_normed * normed).mean(-1, keepdims=True)
    d_x = (inverse * (d_normed - along)).astype(x.dtype)
    return d_x, (d_out * normed).sum(over_rows), d_out.sum(over_rows)


layer_norm.defvjp(_forward, _backward)

"""A mean as its (sum, count): hosts, devices and micro-batches merge these, never means of
means."""

from typing import NamedTuple

import chex
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class Mean(NamedTuple):
    """Sum of a loss over the items that count, and how many there are; both float32 scalars."""

    sum: Float[Array, ""]
    count: Float[Array, ""]

    @classmethod
    def over(cls, values: Float[Array, "*N"], mask: Bool[Array, "*N"]) -> "Mean":
        """The values where `mask` holds; the others may be anything, even NaN.

        Raises:
          AssertionError: the two shapes differ.
        """
        chex.assert_equal_shape([values, mask])
        values = jnp.where(mask, values.astype(jnp.float32), 0.0)
        return cls(jnp.sum(values), jnp.sum(mask, dtype=jnp.float32))

    def __add__(self, other: "Mean") -> "Mean":
        """The mean over the items of both (not the concatenation that tuples have)."""
        return Mean(self.sum + other.sum, self.count + other.count)

    def value(self) -> Float[Array, ""]:
        """sum / count; 0 with zero gradient when nothing counts."""
        return jnp.where(self.count > 0, self.sum / jnp.maximum(self.count, 1.0), 0.0)

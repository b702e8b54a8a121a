"""Means as (sum, count) pairs, which hosts, devices and micro-batches can merge exactly."""

from typing import NamedTuple

import chex
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class Mean(NamedTuple):
    """The sum of a loss over the items that count, and their number; both float32 scalars.

    Example:
      >>> import jax.numpy as jnp
      >>> from protclip_jax.objectives.mean import Mean
      >>> one = Mean.over(jnp.array([1.0, 9.0]), jnp.array([True, False]))
      >>> two = Mean.over(jnp.array([2.0, 6.0]), jnp.array([True, True]))
      >>> print((one + two).value())  # (1 + 2 + 6) / 3
      3.0
    """

    sum: Float[Array, ""]
    count: Float[Array, ""]

    @classmethod
    def over(cls, values: Float[Array, "*N"], mask: Bool[Array, "*N"]) -> "Mean":
        """Sums the values where `mask` is True; the others may be anything, even NaN.

        Raises:
          AssertionError: the two shapes differ.
        """
        chex.assert_equal_shape([values, mask])
        values = jnp.where(mask, values.astype(jnp.float32), 0.0)
        return cls(jnp.sum(values), jnp.sum(mask, dtype=jnp.float32))

    def __add__(self, other: "Mean") -> "Mean":
        """Merges two means (a tuple's + would concatenate them)."""
        return Mean(self.sum + other.sum, self.count + other.count)

    def value(self) -> Float[Array, ""]:
        """sum / count; 0 with zero gradient if the count is 0."""
        return jnp.where(self.count > 0, self.sum / jnp.maximum(self.count, 1.0), 0.0)

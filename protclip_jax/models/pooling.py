"""Masked mean over the tokens of each slot or segment of a packed row."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def pool_slots(x: Float[Array, "R L D"], segment_index: Int[Array, "R L"], num: int) -> Float[Array, "R G D"]:
    """Mean of the tokens of each group 1 … num of a row, in float32; zeros for a group without tokens.

    Args:
      x: token representations, any float dtype.
      segment_index: 0 = padding, else the token's group: a slot id, or a text segment id (slot − 1)·5 + property + 1,
        which pools the full biotexts and the properties of all slots at once.
      num: the number of groups G.
    """
    member = segment_index[:, :, None] == jnp.arange(1, num + 1)
    # A one-hot product instead of scatter-adds. 0 and 1 are exact in every dtype; sums accumulate in float32.
    total = jnp.einsum(
        "rlg,rld->rgd", member.astype(x.dtype), x, precision=jax.lax.Precision.HIGHEST, preferred_element_type=jnp.float32
    )
    return total / jnp.maximum(jnp.sum(member, axis=1), 1)[:, :, None]


def sum_slots(
    x: Float[Array, "R L D"], slot_ids: Int[Array, "R L"], num: int, weights: Float[Array, "R L W"]
) -> Float[Array, "R G W D"]:
    """Weighted sums of the tokens of each slot 1 … num of a row, one for each of the W sets of weights, in float32."""
    member = slot_ids[:, :, None, None] == jnp.arange(1, num + 1)[:, None]
    return jnp.einsum(
        "rlgw,rld->rgwd", member * weights[:, :, None], x.astype(jnp.float32), precision=jax.lax.Precision.HIGHEST
    )

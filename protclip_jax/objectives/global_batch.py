"""The global batch as one device sees it: its own records, and those of all devices."""

from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Int


class GlobalBatch(NamedTuple):
    """The devices that divide the global batch, and how many slots one of them has."""

    axes: tuple[str, ...]
    """Mesh axes inside `jax.shard_map`; () on one device."""
    slots: int

    def local(self, tree: Any) -> Any:
        """This device's records, [R, S, …] → [R·S, …]."""
        return jax.tree.map(lambda x: x.reshape(self.slots, *x.shape[2:]), tree)

    def gather(self, local: Any) -> Any:
        """The records of all devices from those of each, [R·S, …] → [N, …]; gradients flow to
        all of them."""
        if not self.axes:
            return local
        return jax.tree.map(lambda x: jax.lax.all_gather(x, self.axes, tiled=True), local)

    @property
    def first(self) -> int | Int[Array, ""]:
        """Where this device's records begin in the global batch."""
        return jax.lax.axis_index(self.axes) * self.slots if self.axes else 0

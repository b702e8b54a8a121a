"""The global batch as seen from one device: its own records and those of all devices."""

from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Int


class GlobalBatch(NamedTuple):
    """The mesh axes that divide the global batch, and the number of slots on each device."""

    axes: tuple[str, ...]
    """Mesh axes inside `jax.shard_map`; () if one device holds the whole batch."""
    slots: int

    def local(self, tree: Any) -> Any:
        """Flattens this device's records, [R, S, …] → [R·S, …]."""
        return jax.tree.map(lambda x: x.reshape(self.slots, *x.shape[2:]), tree)

    def gather(self, local: Any) -> Any:
        """Gathers the records of all devices, [R·S, …] → [N, …]; gradients flow back to each."""
        if not self.axes:
            return local
        return jax.tree.map(lambda x: jax.lax.all_gather(x, self.axes, tiled=True), local)

    @property
    def first(self) -> int | Int[Array, ""]:
        """Index of this device's first record in the global batch."""
        return jax.lax.axis_index(self.axes) * self.slots if self.axes else 0

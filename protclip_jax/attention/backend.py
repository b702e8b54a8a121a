"""What an implementation of attention is: how it computes, and where it runs."""

import re
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import jax
import numpy as np
from jax.extend.core import JaxprEqn
from jaxtyping import Array, Float, Int


class Target(NamedTuple):
    """Devices of one kind, as far as attention tells them apart."""

    platform: str
    """'cpu', 'gpu' or 'tpu'."""
    kind: str = ""
    """JAX's `device_kind`."""
    capability: tuple[int, int] | None = None
    """Compute capability of NVIDIA's GPUs."""

    @classmethod
    def of(cls, device: jax.Device) -> "Target":
        """The kind of that device, which need not be there."""
        # AMD's architectures (gfx942) stand in the same place.
        version = re.fullmatch(r"(\d+)\.(\d+)", str(getattr(device, "compute_capability", "")))
        capability = (int(version[1]), int(version[2])) if version else None
        return cls(device.platform, device.device_kind, capability)


class AttentionBackend:
    """One way to compute attention within segments. `attend` keeps the rules of
    `protclip_jax.attention.attention`.

    Attributes:
      name: in the config, `model.attention`.
      platforms: of devices that run it; None = all.
      capability: the least compute capability of NVIDIA's GPUs that run it; None = any.
      dtypes: of the queries it computes, as `model.dtype`.
      default_on: the platforms that take it where the config says 'auto', unless an earlier one of
        the registry can run there; none = it is taken by name only.
      cross_attention: the backend that computes the wide single-head attention over the biotext in
        its place; None = itself.
      partitioned_by_compiler: whether XLA may divide it over a mesh by itself. Otherwise each
        device computes its own rows in `jax.shard_map`: the compiler cannot divide a loop over
          blocks and would gather q, k and v on every device.
    """

    name: ClassVar[str]
    platforms: ClassVar[tuple[str, ...] | None] = None
    capability: ClassVar[tuple[int, int] | None] = None
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "bfloat16")
    default_on: ClassVar[tuple[str, ...]] = ()
    cross_attention: ClassVar[str | None] = None
    partitioned_by_compiler: ClassVar[bool] = False

    def attend(
        self,
        q: Float[Array, "R Lq H D"],
        k: Float[Array, "R Lk H D"],
        v: Float[Array, "R Lk H D"],
        *,
        q_segment_ids: Int[Array, "R Lq"],
        kv_segment_ids: Int[Array, "R Lk"],
    ) -> Float[Array, "R Lq H D"]:
        """softmax(q·kᵀ/√D)·v within segments."""
        raise NotImplementedError

    def lacking(self, target: Target, dtype: str) -> str | None:
        """What it needs and would not have, in a few words; None where it can run."""
        if self.platforms is not None and target.platform not in self.platforms:
            return f"a {' or '.join(self.platforms)}, not a {target.platform}"
        if self.capability and target.capability and target.capability < self.capability:
            needed, own = (".".join(map(str, of)) for of in (self.capability, target.capability))
            return f"a GPU of compute capability {needed}, not {own} ({target.kind})"
        if dtype not in self.dtypes:
            return f"model.dtype={' or '.join(map(repr, self.dtypes))}, not '{dtype}'"
        return None

    def visited_share(self, segment_ids: Int[np.ndarray, "R L"], dtype: str) -> float:
        """The share of pairs of tokens, or of blocks, of the same row that self-attention
        computes."""
        return 1.0

    def visits(self, equation: JaxprEqn, visited: Mapping[int, float]) -> float | None:
        """How often a step of its kernel's grid runs what it may skip, or its loop, in a traced
        program.

        `visited` has the `visited_share` of rows by their tokens; None of any other equation.
        """
        return None


def share_of(visited: Mapping[int, float], blocks: int, block: int) -> float:
    """The share of rows that fill so many blocks of so many tokens."""
    return next(share for tokens, share in visited.items() if -(-tokens // block) == blocks)

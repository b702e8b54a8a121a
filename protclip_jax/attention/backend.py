"""The interface of an attention backend: how it computes, and where it can run."""

import re
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import jax
import numpy as np
from jax.extend.core import JaxprEqn
from jaxtyping import Array, Float, Int


class Target(NamedTuple):
    """A kind of device, described as far as the choice of a backend depends on it."""

    platform: str
    """'cpu', 'gpu' or 'tpu'."""
    kind: str = ""
    """JAX's `device_kind`."""
    capability: tuple[int, int] | None = None
    """Compute capability of an NVIDIA GPU."""

    @classmethod
    def of(cls, device: jax.Device) -> "Target":
        """The target that describes a device, which may be abstract."""
        # For AMD GPUs, `compute_capability` holds the architecture (gfx942).
        version = re.fullmatch(r"(\d+)\.(\d+)", str(getattr(device, "compute_capability", "")))
        capability = (int(version[1]), int(version[2])) if version else None
        return cls(device.platform, device.device_kind, capability)


class AttentionBackend:
    """One way to compute attention within segments.

    `attend` follows the contract of `protclip_jax.attention.attention`.

    Attributes:
      name: value of `model.attention` that selects it.
      platforms: platforms that it runs on; None = all.
      capability: minimum compute capability on NVIDIA GPUs; None = any.
      dtypes: supported dtypes of the queries, as in `model.dtype`.
      default_on: platforms where 'auto' selects it, unless an earlier backend in the registry can
        run there; () = it is only selected by name.
      cross_attention: name of the backend that replaces it in the wide single-head attention over
        the biotext; None = no replacement.
      partitioned_by_compiler: whether XLA may partition it over a mesh. Otherwise each device
        computes its own rows in `jax.shard_map`, because the compiler cannot partition a loop over
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
        """Computes softmax(q·kᵀ/√D)·v within segments."""
        raise NotImplementedError

    def lacking(self, target: Target, dtype: str) -> str | None:
        """Describes the missing requirement in a few words; None if the backend can run."""
        if self.platforms is not None and target.platform not in self.platforms:
            return f"a {' or '.join(self.platforms)}, not a {target.platform}"
        if self.capability and target.capability and target.capability < self.capability:
            needed, own = (".".join(map(str, of)) for of in (self.capability, target.capability))
            return f"a GPU of compute capability {needed}, not {own} ({target.kind})"
        if dtype not in self.dtypes:
            return f"model.dtype={' or '.join(map(repr, self.dtypes))}, not '{dtype}'"
        return None

    def visited_share(self, segment_ids: Int[np.ndarray, "R L"], dtype: str) -> float:
        """Fraction of the pairs of tokens (or blocks) in a row that self-attention computes."""
        return 1.0

    def visits(self, equation: JaxprEqn, visited: Mapping[int, float]) -> float | None:
        """How often a traced kernel runs, on average, the part of its grid or loop it may skip.

        `visited` maps the number of tokens in a row to `visited_share`. Returns None for equations
        that are not this backend's kernel.
        """
        return None


def share_of(visited: Mapping[int, float], blocks: int, block: int) -> float:
    """The share for rows that fill `blocks` blocks of `block` tokens."""
    return next(share for tokens, share in visited.items() if -(-tokens // block) == blocks)

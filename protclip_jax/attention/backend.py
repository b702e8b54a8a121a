"""What an implementation of attention is: how it computes, and where it runs."""

from typing import ClassVar

from jaxtyping import Array, Float, Int


class AttentionBackend:
    """One way to compute attention within segments. `attend` keeps the rules of `protclip_jax.attention.attention`.

    Attributes:
      name: in the config, `model.attention`.
      platforms: of devices that run it; None = all.
      dtypes: of the queries it computes, as `model.dtype`.
      default_on: the platform that takes it where the config says 'auto'; None = it is taken by name only.
      cross_attention: the backend that computes the wide single-head attention over the biotext in its place; None = itself.
      partitioned_by_compiler: whether XLA may divide it over a mesh by itself. Otherwise each device computes its own rows in
        `jax.shard_map`: the compiler cannot divide a loop over blocks and would gather q, k and v on every device.
    """

    name: ClassVar[str]
    platforms: ClassVar[tuple[str, ...] | None] = None
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "bfloat16")
    default_on: ClassVar[str | None] = None
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

    def lacking(self, platform: str, dtype: str) -> str | None:
        """What it needs and would not have, in a few words; None where it can run."""
        if self.platforms is not None and platform not in self.platforms:
            return f"a {' or '.join(self.platforms)}, not a {platform}"
        if dtype not in self.dtypes:
            return f"model.dtype={' or '.join(map(repr, self.dtypes))}, not '{dtype}'"
        return None

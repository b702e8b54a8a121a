"""ProtCLIP in JAX/Flax: `from protclip_jax import ProtCLIP`."""

from protclip_jax.inference.protclip import ProtCLIP

__all__ = ["ProtCLIP"]

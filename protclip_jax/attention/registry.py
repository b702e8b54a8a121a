"""Every implementation of attention by name. A new one is a file with a subclass of `AttentionBackend`, and a line here."""

from protclip_jax.attention.backend import AttentionBackend
from protclip_jax.attention.blockwise import Blockwise
from protclip_jax.attention.cudnn import CuDNN
from protclip_jax.attention.dense import Dense
from protclip_jax.attention.splash import Splash
from protclip_jax.attention.triton import Triton

_BACKENDS: tuple[AttentionBackend, ...] = (
    Blockwise(),
    CuDNN(),
    Dense(),
    Splash(),
    Triton(),
)

BACKENDS: dict[str, AttentionBackend] = {backend.name: backend for backend in _BACKENDS}

AUTO = "auto"
"""As `model.attention`: the default backend of the devices' platform."""


def backend_for(name: str, platform: str, dtype: str) -> str:
    """The backend that computes `model.attention=NAME` there: the named one, or the platform's own where that cannot run.

    All backends give the same numbers up to rounding.
    """
    if name != AUTO and BACKENDS[name].lacking(platform, dtype) is None:
        return name
    return next(backend.name for backend in _BACKENDS if backend.default_on == platform)


def for_cross_attention(name: str) -> str:
    """The backend that computes the cross-attention over the biotext where NAME computes the towers' self-attention."""
    return BACKENDS[name].cross_attention or name

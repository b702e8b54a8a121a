"""Every attention backend by name. A new one is a file with a subclass of `AttentionBackend`,
and a line here."""

from data_pipelines.common.errors import UserError
from protclip_jax.attention.backend import AttentionBackend, Target
from protclip_jax.attention.blockwise import Blockwise
from protclip_jax.attention.cudnn import CuDNN
from protclip_jax.attention.dense import Dense
from protclip_jax.attention.splash import Splash
from protclip_jax.attention.triton import Triton

_BACKENDS: tuple[AttentionBackend, ...] = (
    Splash(),
    Triton(),
    Blockwise(),
    CuDNN(),
    Dense(),
)
"""In the order in which 'auto' tries them."""

BACKENDS: dict[str, AttentionBackend] = {backend.name: backend for backend in _BACKENDS}

AUTO = "auto"
"""As `model.attention`: the first default of the devices' platform that they can run."""


def named(name: str) -> AttentionBackend:
    """The backend NAME.

    Raises:
      ValueError: there is none; 'auto' is not a backend either.
    """
    if name not in BACKENDS:
        known = ", ".join(sorted(BACKENDS))
        raise ValueError(f"attention '{name}' is unknown; choose one of {known}.")
    return BACKENDS[name]


def backend_for(name: str, target: Target, dtype: str) -> str:
    """The backend that computes `model.attention=NAME` on such devices: the named one, or their own
    where that cannot run.

    All backends give the same numbers up to rounding.

    Raises:
      UserError: no backend is the default on the platform, and one is needed.
      ValueError: the name is unknown.
    """
    if name != AUTO and named(name).lacking(target, dtype) is None:
        return name
    usable = sorted(
        known for known, backend in BACKENDS.items() if backend.lacking(target, dtype) is None
    )
    for backend in defaults(target.platform):
        if backend.name in usable:
            return backend.name
    raise UserError(
        f"no attention is the default on {target.platform} devices; set model.attention to "
        f"{' or '.join(usable)}."
    )


def defaults(platform: str) -> list[AttentionBackend]:
    """What 'auto' takes on a platform's devices, the best first."""
    return [backend for backend in BACKENDS.values() if platform in backend.default_on]


def for_cross_attention(name: str) -> str:
    """The backend that computes the cross-attention over the biotext where NAME computes the
    towers' self-attention."""
    return named(name).cross_attention or name

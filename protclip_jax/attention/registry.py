"""All attention backends by name.

To add one, subclass `AttentionBackend` in a new file and list it here.
"""

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
"""Value of `model.attention` that selects the platform's first default able to run there."""


def named(name: str) -> AttentionBackend:
    """Returns the backend with this name.

    Raises:
      ValueError: the name is unknown ('auto' is not a backend).
    """
    if name not in BACKENDS:
        known = ", ".join(sorted(BACKENDS))
        raise ValueError(f"unknown attention '{name}'; expected one of {known}.")
    return BACKENDS[name]


def backend_for(name: str, target: Target, dtype: str) -> str:
    """Resolves `model.attention` for a target: the named backend, or the target's default.

    The default is used for 'auto', and if the named backend cannot run there. All backends give the
    same numbers up to rounding.

    Raises:
      UserError: a default is needed, but the platform has none.
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
        f"{target.platform} devices have no default attention; set model.attention to "
        f"{' or '.join(usable)}."
    )


def defaults(platform: str) -> list[AttentionBackend]:
    """The backends that 'auto' considers on a platform, best first."""
    return [backend for backend in BACKENDS.values() if platform in backend.default_on]


def for_cross_attention(name: str) -> str:
    """Name of the cross-attention backend if `name` computes the towers' self-attention."""
    return named(name).cross_attention or name

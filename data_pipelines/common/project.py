"""The name and version of the installed distribution."""

import importlib.metadata

DISTRIBUTION = "protclip-jax"


def version() -> str:
    """The installed version, or `not installed` when run from a source folder."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"

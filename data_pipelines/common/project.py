"""What this project is called where it is installed, and its version."""

import importlib.metadata

DISTRIBUTION = "protclip-jax"


def version() -> str:
    """Of the installed project; `not installed` where it runs from a folder of sources."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"

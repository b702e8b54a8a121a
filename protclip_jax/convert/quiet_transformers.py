"""transformers, imported when a conversion first needs it."""

import functools
import os
from types import ModuleType


@functools.cache
def transformers() -> ModuleType:
    """Imports the library (seconds) without its warnings and its notice about PyTorch."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    import transformers as library

    library.logging.set_verbosity_error()
    return library

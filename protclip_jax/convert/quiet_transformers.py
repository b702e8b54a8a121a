"""transformers, imported when a conversion first needs it."""

import functools
import os
from types import ModuleType


@functools.cache
def transformers() -> ModuleType:
    """The library, which takes seconds to import; without its notice that PyTorch is missing,
    and without its warnings."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    import transformers as library

    library.logging.set_verbosity_error()
    return library

"""Shows the library's warnings as plain sentences on stderr, without source lines."""

import contextlib
import warnings
from collections.abc import Iterator

from data_pipelines.common.progress import print_status


@contextlib.contextmanager
def warnings_as_sentences() -> Iterator[None]:
    """Prints each distinct `UserWarning` once; subclasses and other warnings look as usual."""
    seen: set[str] = set()
    with warnings.catch_warnings():
        show = warnings.showwarning

        def shown(message, category, *where, **more) -> None:
            if category is not UserWarning:
                show(message, category, *where, **more)
            elif (sentence := str(message)) not in seen:
                seen.add(sentence)
                print_status(sentence)

        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = shown
        yield

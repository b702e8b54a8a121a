"""Warnings of the library as commands tell them: a sentence on stderr, without the line of the
program."""

import contextlib
import warnings
from collections.abc import Iterator

from data_pipelines.common.progress import tell


@contextlib.contextmanager
def warnings_as_sentences() -> Iterator[None]:
    """Tells each `UserWarning` once, when it is issued; those of its subclasses and other
    warnings look as ever."""
    seen: set[str] = set()
    with warnings.catch_warnings():
        show = warnings.showwarning

        def told(message, category, *where, **more) -> None:
            if category is not UserWarning:
                show(message, category, *where, **more)
            elif (sentence := str(message)) not in seen:
                seen.add(sentence)
                tell(sentence)

        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = told
        yield

"""The type checker of the test suite: it checks arrays' shapes and dtypes, and nothing else.

`tests/conftest.py` installs it with jaxtyping's import hook.
"""

import typing
from collections.abc import Callable, Generator, Iterable, Iterator

import beartype
from jaxtyping import AbstractArray


def check_arrays(function):
    """Applies beartype to a function's jaxtyping annotations; returns the function unchanged if
    it has none."""
    arrays = {name: hint for name, hint in function.__annotations__.items() if mentions_array(hint)}
    if not arrays:
        return function
    function.__annotations__ = arrays
    return beartype.beartype(function)


def mentions_array(hint) -> bool:
    """Whether a type hint is a jaxtyping array type or contains one, as `tuple[Float[Array, "n"],
    int]` does.

    Not checked are what a callable takes and returns, and what an iterable yields: to look at it
    is to consume it.
    """
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    if typing.get_origin(hint) in (Callable, Generator, Iterable, Iterator):
        return False
    return any(mentions_array(part) for part in typing.get_args(hint))

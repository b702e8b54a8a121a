"""Texts and sequences as people pass them to Python functions."""

from collections.abc import Iterable, Mapping

from data_pipelines.common.errors import UserError


def as_list(values: str | Iterable[str], name: str) -> list[str]:
    """A list of str; a str counts as one item.

    Raises:
      UserError: it is something else, or an item is no str; the sentence begins with `name`.
    """
    if isinstance(values, str):
        return [values]
    if isinstance(values, bytes | Mapping) or not isinstance(values, Iterable):
        raise UserError(f"{name} must be a list of str, not {_described(values)}.")
    items = list(values)
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise UserError(f"{name}[{index}] must be a str, not {_described(item)}.")
    return items


def _described(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"

"""Normalises texts and sequences passed to Python functions."""

from collections.abc import Iterable, Mapping

from data_pipelines.common.errors import UserError


def as_list(values: str | Iterable[str], name: str) -> list[str]:
    """Returns a list of str; a single str becomes one item.

    Raises:
      UserError: the value or an item has another type; the message begins with `name`.
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

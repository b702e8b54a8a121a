"""The definition of a config setting: its default, its allowed values and its history."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from data_pipelines.common.json_object import is_number

MAX_STEPS = 2**31 - 1
"""Steps are counted in 32 bits."""

MAX_WIDTH, MAX_ROWS, MAX_PATH = 1 << 16, 1 << 24, 4096
"""Upper limits for widths and layer counts, tables and rows, and paths; far above normal values."""


class Kind(NamedTuple):
    """The allowed values of a setting: a description for the user and a check.

    `holds` is the Python type used to parse the value of an unset setting on the command line.
    """

    wanted: str
    allows: Callable[[object], bool]
    holds: type = object


class _AsDefault:
    """Marks `before` as equal to the setting's own default."""


AS_DEFAULT = _AsDefault()


@dataclasses.dataclass(frozen=True)
class Setting:
    """One field of a config.

    Attributes:
      default: the value if a config does not set it.
      kind: the allowed values.
      doc: one sentence for the user.
      before: the effective value before the field existed, for workdirs created then.
      changeable: whether a resumed run may use a value other than the original.
    """

    default: object
    kind: Kind
    doc: str
    before: object = AS_DEFAULT
    changeable: bool = False

    @property
    def began_with(self) -> object:
        """The value in a workdir that predates the field."""
        return self.default if self.before is AS_DEFAULT else self.before


def integer(low: int, high: int) -> Kind:
    """Whole numbers in a range, bounds included."""
    return Kind(
        f"a whole number from {low} to {high}",
        lambda value: type(value) is int and low <= value <= high,
        int,
    )


def number(range_: str, is_within: Callable[[float], bool]) -> Kind:
    """Finite numbers in a range, given as a description and a test."""
    return Kind(f"a number {range_}", lambda value: is_number(value) and is_within(value), float)


def one_of(known: Sequence[str]) -> Kind:
    """One of a set of names."""
    return Kind(
        f"one of {', '.join(known)}", lambda value: isinstance(value, str) and value in known, str
    )


def some_of(known: range) -> Kind:
    """Lists (possibly empty) of whole numbers from a range."""

    def allows(value: object) -> bool:
        is_list = isinstance(value, list | tuple)
        return is_list and all(type(level) is int and level in known for level in value)

    return Kind(f"a list of {', '.join(map(str, known))}, such as ({known[0]},)", allows, tuple)


def list_of(wanted: str, allows: Callable[[object], bool], *, example: str) -> Kind:
    """Lists (possibly empty) of items, given as a description and a test."""

    def is_list(value: object) -> bool:
        return isinstance(value, list | tuple) and all(map(allows, value))

    return Kind(f"a list of {wanted}, such as {example}", is_list, tuple)


def rules(wanted: str, allows: Callable[[object], bool]) -> Kind:
    """Non-empty lists of pairs: a regular expression and a value."""

    def is_rule(rule: object) -> bool:
        is_pair = isinstance(rule, list | tuple) and len(rule) == 2
        return is_pair and is_pattern(rule[0]) and allows(rule[1])

    def is_list(value: object) -> bool:
        return isinstance(value, list | tuple) and len(value) > 0 and all(map(is_rule, value))

    return Kind(f'a list of pairs ("regular expression", {wanted})', is_list, tuple)


def is_pattern(value: object) -> bool:
    """Whether a value is a valid regular expression."""
    try:
        return isinstance(value, str) and bool(re.compile(value))
    except (re.error, RecursionError, OverflowError):
        return False


def unset_or(kind: Kind) -> Kind:
    """The values of another kind, or None."""
    return Kind(
        f"{kind.wanted}, or unset", lambda value: value is None or kind.allows(value), kind.holds
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_PATH and value.isprintable()


def _are_patterns(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(is_pattern, value))


PATTERNS = Kind('a list of regular expressions, such as ("bias$",)', _are_patterns, tuple)
FLAG = Kind("True or False", lambda value: type(value) is bool, bool)
TEXT = Kind(f"1 to {MAX_PATH} printable characters", _is_text, str)
WIDTH, ROWS, STEPS = integer(1, MAX_WIDTH), integer(1, MAX_ROWS), integer(1, MAX_STEPS)
WEIGHT = number("of at least 0", lambda x: x >= 0)
SHARE = number("from 0 to 1", lambda x: 0 <= x <= 1)
DECAY = number("from 0 to below 1", lambda x: 0 <= x < 1)
FRACTION = number("above 0 and at most 1", lambda x: 0 < x <= 1)
EXPONENT = number("from -100 to 100", lambda x: abs(x) <= 100)

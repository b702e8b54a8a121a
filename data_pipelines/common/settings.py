"""What a setting of a config is: its default, what it may be, and how it came to be."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from data_pipelines.common.json_object import is_number

MAX_STEPS = 2**31 - 1
"""Steps are counted in 32 bits."""

MAX_WIDTH, MAX_ROWS, MAX_PATH = 1 << 16, 1 << 24, 4096
"""The largest width or number of layers; table or row; and path. Sensible values are far below."""


class Kind(NamedTuple):
    """Which values a setting may have: in words for the user, and as a check.

    `holds` is their Python type, as which the command line reads the value of a setting that is
    unset.
    """

    wanted: str
    allows: Callable[[object], bool]
    holds: type = object


class _AsDefault:
    """Stands for a setting's own default."""


AS_DEFAULT = _AsDefault()


@dataclasses.dataclass(frozen=True)
class Setting:
    """One field of a config.

    Attributes:
      default: the value where a config does not set it.
      kind: which values it may have.
      doc: one sentence for the user.
      before: the value that code had before the field existed, for workdirs that began then.
      changeable: whether a run that goes on may have another value than it began with.
    """

    default: object
    kind: Kind
    doc: str
    before: object = AS_DEFAULT
    changeable: bool = False

    @property
    def began_with(self) -> object:
        """The value in a workdir that is older than the field."""
        return self.default if self.before is AS_DEFAULT else self.before


def integer(low: int, high: int) -> Kind:
    """Whole numbers of a range, bounds included."""
    return Kind(
        f"a whole number from {low} to {high}",
        lambda value: type(value) is int and low <= value <= high,
        int,
    )


def number(range_: str, is_within: Callable[[float], bool]) -> Kind:
    """Finite numbers of a range, described and tested."""
    return Kind(f"a number {range_}", lambda value: is_number(value) and is_within(value), float)


def one_of(known: Sequence[str]) -> Kind:
    """Names."""
    return Kind(
        f"one of {', '.join(known)}", lambda value: isinstance(value, str) and value in known, str
    )


def some_of(known: range) -> Kind:
    """Lists of whole numbers, perhaps empty."""

    def allows(value: object) -> bool:
        is_list = isinstance(value, list | tuple)
        return is_list and all(type(level) is int and level in known for level in value)

    return Kind(f"a list out of {', '.join(map(str, known))}, such as ({known[0]},)", allows, tuple)


def list_of(wanted: str, allows: Callable[[object], bool], *, example: str) -> Kind:
    """Lists, perhaps empty, of what is described and tested."""

    def is_list(value: object) -> bool:
        return isinstance(value, list | tuple) and all(map(allows, value))

    return Kind(f"a list of {wanted}, such as {example}", is_list, tuple)


def rules(wanted: str, allows: Callable[[object], bool]) -> Kind:
    """Pairs of a regular expression and a value, at least one."""

    def is_rule(rule: object) -> bool:
        is_pair = isinstance(rule, list | tuple) and len(rule) == 2
        return is_pair and is_pattern(rule[0]) and allows(rule[1])

    def is_list(value: object) -> bool:
        return isinstance(value, list | tuple) and len(value) > 0 and all(map(is_rule, value))

    return Kind(f'a list of pairs ("regular expression", {wanted})', is_list, tuple)


def is_pattern(value: object) -> bool:
    """Whether it is a regular expression."""
    try:
        return isinstance(value, str) and bool(re.compile(value))
    except (re.error, RecursionError, OverflowError):
        return False


def unset_or(kind: Kind) -> Kind:
    """The same values, or None."""
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
WEIGHT = number("from 0", lambda x: x >= 0)
SHARE = number("from 0 to 1", lambda x: 0 <= x <= 1)
DECAY = number("from 0 to below 1", lambda x: 0 <= x < 1)
FRACTION = number("above 0, at most 1", lambda x: 0 < x <= 1)
EXPONENT = number("from -100 to 100", lambda x: abs(x) <= 100)

"""NumPy scalars as values of a config: they become Python's own, which JSON can hold."""

from collections.abc import Mapping

import numpy as np
from ml_collections import ConfigDict


class Config(ConfigDict):
    """A `ConfigDict` that takes NumPy scalars, also in its groups, and keeps Python values."""

    def __init__(self, initial_dictionary: Mapping | None = None, **options):
        super().__init__(**options)
        for name, value in dict(initial_dictionary or {}).items():
            self[name] = value

    def __setitem__(self, name: str, value: object) -> None:
        value = Config(value) if isinstance(value, dict) else plain(value)
        if not (isinstance(value, ConfigDict) and isinstance(self.get(name), ConfigDict)):
            super().__setitem__(name, value)
            return
        # A group replaces a group of either class; ConfigDict would refuse one of another class.
        with self.unlocked():
            del self[name]
            super().__setitem__(name, value)


def plain(value: object) -> object:
    """A NumPy scalar, also in tuples and lists, as a Python value; any other value as it is."""
    if not _holds_numpy(value):
        return value
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value.item()


def make_plain(config: ConfigDict) -> None:
    """Replaces the NumPy scalars in a config and in its groups."""
    for name in config:
        value = config[name]
        if isinstance(value, ConfigDict):
            make_plain(value)
        elif _holds_numpy(value):
            with config.ignore_type():
                config[name] = plain(value)


def _holds_numpy(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_numpy, value))
    return isinstance(value, np.generic)

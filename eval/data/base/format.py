"""A format of benchmark files: its importer and the keys of its manifest entry."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import GenericAlias
from typing import NamedTuple

GIVEN = ("benchmark", "kind", "task")
"""Importer parameters that no entry sets: the benchmark's name and kind, and its task."""


class NeutralFolder(NamedTuple):
    """The folder of a benchmark or group in the neutral layout."""

    data_dir: Path
    name: str

    def table(self, stem: str) -> str | None:
        """The path of a table, relative to the data folder; None if the file does not exist."""
        return self._first(f"{stem}.tsv.gz", f"{stem}.tsv")

    def tables(self, *stems: str) -> dict[str, str]:
        """The tables that exist, by name."""
        found = {stem: self.table(stem) for stem in stems}
        return {stem: path for stem, path in found.items() if path}

    def listing(self, stem: str) -> str | None:
        """The path of a plain list; None if the file does not exist."""
        return self._first(f"{stem}.txt")

    def _first(self, *files: str) -> str | None:
        there = (file for file in files if (self.data_dir / self.name / file).is_file())
        return next((f"{self.name}/{file}" for file in there), None)


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of benchmark files. Each benchmark lists the formats that can hold it."""

    name: str
    """The name that manifest entries use."""
    read: Callable
    """The importer. Its arguments are the entry's keys and those of `GIVEN` that it declares."""
    splits: tuple[str, ...] = ()
    """Keys that take one or several files, passed to the importer together as `files`."""
    file: tuple[str, ...] = ()
    """Keys that take one file."""
    files: tuple[str, ...] = ()
    """Keys that take one or several files."""
    named_file: tuple[str, ...] = ()
    """Keys that take an object of names, each with one file."""
    named_files: tuple[str, ...] = ()
    """Keys that take an object of names, each with one or several files."""
    vectors: tuple[str, ...] = ()
    """Keys that take an object of names, each with a file and the name of its source."""
    options: Mapping[str, type | GenericAlias] = dataclasses.field(default_factory=dict)
    """Other keys and their JSON types: text, whole number, or a non-empty list of these."""
    neutral: Callable[[NeutralFolder], dict | None] = lambda folder: None
    """Turns a folder of the neutral layout into an entry; None for a folder of another format."""

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that an entry may have besides `format` and `comment`."""
        files = (*self.splits, *self.file, *self.files, *self.named_file, *self.named_files)
        return (*files, *self.vectors, *self.options)

    @property
    def required(self) -> tuple[str, ...]:
        """Required keys; of the splits, one is enough."""
        parameters = inspect.signature(self.read).parameters
        return tuple(
            key
            for key in self.keys
            if key in parameters and parameters[key].default is inspect.Parameter.empty
        )

    @property
    def given(self) -> tuple[str, ...]:
        """The parameters in `GIVEN` that the importer declares."""
        parameters = inspect.signature(self.read).parameters
        return tuple(name for name in GIVEN if name in parameters)

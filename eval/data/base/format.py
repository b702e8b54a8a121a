"""What a format of benchmarks' files is: its importer, and the keys of an entry of the manifest."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import GenericAlias
from typing import NamedTuple

GIVEN = ("benchmark", "kind", "task")
"""Parameters of importers that no entry gives: the benchmark's name and kind, and the task it
judges."""


class NeutralFolder(NamedTuple):
    """The folder of a benchmark or group in the neutral layout."""

    data_dir: Path
    name: str

    def table(self, stem: str) -> str | None:
        """The table of that name, relative to the data folder; None if there is none."""
        return self._first(f"{stem}.tsv.gz", f"{stem}.tsv")

    def tables(self, *stems: str) -> dict[str, str]:
        """Those of the tables that are there, by their names."""
        found = {stem: self.table(stem) for stem in stems}
        return {stem: path for stem, path in found.items() if path}

    def listing(self, stem: str) -> str | None:
        """The plain list of that name; None if there is none."""
        return self._first(f"{stem}.txt")

    def _first(self, *files: str) -> str | None:
        there = (file for file in files if (self.data_dir / self.name / file).is_file())
        return next((f"{self.name}/{file}" for file in there), None)


@dataclasses.dataclass(frozen=True)
class Format:
    """A way in which benchmarks' files come. Benchmarks list the formats that can hold them."""

    name: str
    """What an entry of the manifest calls it."""
    read: Callable
    """The importer; the keys of an entry are its arguments, beside those of `GIVEN` that it has."""
    splits: tuple[str, ...] = ()
    """Keys with a file or several, which the importer gets together as `files`."""
    file: tuple[str, ...] = ()
    """Keys with one file."""
    files: tuple[str, ...] = ()
    """Keys with a file or several."""
    named_file: tuple[str, ...] = ()
    """Keys with an object of names and a file each."""
    named_files: tuple[str, ...] = ()
    """Keys with an object of names and a file or several each."""
    vectors: tuple[str, ...] = ()
    """Keys with an object of names, each with a file and what its source is called."""
    options: Mapping[str, type | GenericAlias] = dataclasses.field(default_factory=dict)
    """Keys with anything else, and its type in JSON: text, whole number, or a list of these with
    one at least."""
    neutral: Callable[[NeutralFolder], dict | None] = lambda folder: None
    """What a folder of the neutral layout amounts to as an entry; None if it is of another
    format."""

    @property
    def keys(self) -> tuple[str, ...]:
        """All that may stand in an entry beside `format` and `comment`."""
        files = (*self.splits, *self.file, *self.files, *self.named_file, *self.named_files)
        return (*files, *self.vectors, *self.options)

    @property
    def required(self) -> tuple[str, ...]:
        """The keys that must be there; of the splits, one."""
        parameters = inspect.signature(self.read).parameters
        return tuple(
            key
            for key in self.keys
            if key in parameters and parameters[key].default is inspect.Parameter.empty
        )

    @property
    def given(self) -> tuple[str, ...]:
        """The parameters of `GIVEN` that the importer has."""
        parameters = inspect.signature(self.read).parameters
        return tuple(name for name in GIVEN if name in parameters)

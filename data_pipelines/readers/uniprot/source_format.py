"""Base class of all source formats."""

import abc
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from data_pipelines.protanno.record import Record
from data_pipelines.readers.uniprot.entry import RawEntry


class SourceFormat(abc.ABC):
    """A protein file format: its names, how to cut its files and how to parse an entry.

    `data_pipelines.readers.source_formats` lists one instance of each. Cutting is cheap and runs in
    one process. Parsing runs in other processes, which look the format up by its name.
    """

    name: ClassVar[str]
    """Unique; every raw entry carries it."""
    suffixes: ClassVar[tuple[str, ...]]
    """File name endings, without .gz."""
    description: ClassVar[str]
    """Its name in help texts and docs/data.md."""
    nameless: ClassVar[bool] = False
    """Whether entries may lack a name. UniProt names every entry, so one without is damaged."""

    @abc.abstractmethod
    def split(self, path: Path) -> Iterator[RawEntry]:
        """Cuts a file into its entries, in file order and bounded memory.

        Raises:
          UserError: the file is unreadable, truncated, empty or in another format.
        """

    @abc.abstractmethod
    def parse(self, raw: RawEntry, omitted: Counter) -> Record:
        """Parses an entry into a record; the caller checks the record with `find_fault`.

        Args:
          raw: an entry without a problem.
          omitted: counts, by reason, features left out because a Record cannot express them.

        Raises:
          Malformed: the entry is not valid; the message gives the reason.
        """

    def accession(self, raw: RawEntry) -> str:
        """Returns the accession of a possibly broken entry, '' if not found."""
        return ""

    def split_shared(self, path: Path, formats: Sequence["SourceFormat"]) -> Iterator[RawEntry]:
        """Like `split`, for a suffix that several formats share: marks each entry with its format.

        Formats can share a suffix only if they inherit this method from the same class.

        Args:
          formats: all formats of the suffix, in the order to try them.

        Raises:
          UserError: as in `split`, or the file matches none of the formats.
        """
        raise NotImplementedError(f"{self.name} cannot share a suffix with another format")

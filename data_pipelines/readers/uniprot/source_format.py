"""The base of every source format."""

import abc
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from data_pipelines.protanno.record import Record
from data_pipelines.readers.uniprot.entry import RawEntry


class SourceFormat(abc.ABC):
    """A format of files of proteins: its names, how to cut its files and how to parse an entry.

    `data_pipelines.readers.source_formats` lists one instance of each. Cutting is cheap and runs in
    one process. Parsing runs in others, which find the format again by its name.
    """

    name: ClassVar[str]
    """Unique; every raw entry carries it."""
    suffixes: ClassVar[tuple[str, ...]]
    """How its files' names end, without .gz."""
    description: ClassVar[str]
    """What help texts and docs/data.md call it."""
    nameless: ClassVar[bool] = False
    """Whether an entry may lack a name. UniProt names every entry, so that one without is
    damaged."""

    @abc.abstractmethod
    def split(self, path: Path) -> Iterator[RawEntry]:
        """Cuts a file into its entries, in the file's order and in bounded memory.

        Raises:
          UserError: the file is unreadable, cut off, empty or of another format.
        """

    @abc.abstractmethod
    def parse(self, raw: RawEntry, omitted: Counter) -> Record:
        """Makes the record of an entry; its caller checks the record with `find_fault`.

        Args:
          raw: an entry without a problem.
          omitted: counts, by reason, what a Record cannot express and is left out.

        Raises:
          Malformed: the entry gives no record; the message says why.
        """

    def accession(self, raw: RawEntry) -> str:
        """The accession of an entry that may be broken; '' if it has none or cannot be found."""
        return ""

    def split_shared(self, path: Path, formats: Sequence["SourceFormat"]) -> Iterator[RawEntry]:
        """Like `split`, for a suffix that several formats share: marks each entry with its format.

        Formats can share a suffix only if they inherit this method from the same class.

        Args:
          formats: all formats of the suffix, in the order to try them.

        Raises:
          UserError: as `split`, or the file is of none of the formats.
        """
        raise NotImplementedError(f"{self.name} cannot share a suffix with another format")

"""Reader for ExPASy's ENZYME nomenclature database (`enzyme.dat`): EC numbers and their names."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.numbered_lines import decoded, numbered_lines

_NUMBER = re.compile(r"[1-7](\.(\d+|-)){2}\.(n?\d+|-)")
_GONE = re.compile(r"(Transferred|Deleted) entry")


class Enzyme(NamedTuple):
    """An entry: its EC number, accepted name, alternative names and catalysed reactions."""

    number: str
    name: str
    alternatives: list[str]
    reaction: str
    line: int
    """1-based line of its start."""

    @property
    def withdrawn(self) -> bool:
        """Whether the number was deleted, or transferred to another."""
        return bool(_GONE.match(self.name))


def read_enzymes(path: Path) -> Iterator[Enzyme]:
    """Yields the entries of `enzyme.dat`, plain or gzip, in file order.

    Raises:
      UserError: the file is unreadable, not UTF-8, or has no entry with an EC number.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "enzyme.dat"
        >>> _ = path.write_text("ID   1.1.1.1\\nDE   Alcohol dehydrogenase.\\n//\\n")
        >>> [(enzyme.number, enzyme.name) for enzyme in read_enzymes(path)]
        [('1.1.1.1', 'Alcohol dehydrogenase')]
    """
    lines: dict[str, list[str]] = {}
    start, found = 0, False
    with open_bytes(path) as content:
        for number, line in numbered_lines(content, path):
            code, text = decoded(line[:2], number, path), decoded(line[5:], number, path).strip()
            # An entry whose `//` is missing ends where the next one begins.
            if code in ("ID", "//") and "ID" in lines:
                found = True
                yield _enzyme(lines, start)
                lines = {}
            if code == "ID" and _NUMBER.fullmatch(text):
                lines, start = {"ID": [text]}, number
            elif "ID" in lines:
                lines.setdefault(code, []).append(text)
    if "ID" in lines:
        yield _enzyme(lines, start)
    elif not found:
        raise UserError(
            f"{path} is not an enzyme.dat file: no ID line has an EC number; check the path."
        )


def _enzyme(lines: dict[str, list[str]], start: int) -> Enzyme:
    alternatives = [name.rstrip(".") for name in lines.get("AN", [])]
    return Enzyme(
        lines["ID"][0],
        _joined(lines.get("DE", [])).rstrip("."),
        alternatives,
        _joined(lines.get("CA", [])),
        start,
    )


def _joined(lines: list[str]) -> str:
    """Joins wrapped lines; no space is added after a hyphen, where words are broken."""
    text = ""
    for line in lines:
        text += line if not text or text.endswith("-") else f" {line}"
    return text

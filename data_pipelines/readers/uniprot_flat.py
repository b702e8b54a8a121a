"""UniProtKB flat files (`ID … //`), every layout since about 2000, read one entry at a time in constant memory.

What becomes of an entry:
- accession: the first on `AC`; source: Swiss-Prot if reviewed (`Reviewed`, formerly `STANDARD`), else TrEMBL.
- existence: the `PE` level, 0 without one (entries before 2007).
- name: the `Full` name of the first `RecName`, else of the first `SubName`; names of parts (`Contains:`, `Includes:`) do
  not count. Before 2008 `DE` was free text: all of it, synonyms in parentheses included, without its final stop.
- function, location, similarity: all comments of that topic in their order, joined by a blank. The molecule a comment is
  limited to stays in front of it (`[Isoform 2]: …`), and evidence tags stay.
- features: see `feature_table`.

An entry that cannot be read is a Reject: nothing is skipped silently. Biopython's `Bio.SwissProt` was measured against this
reader (benchmarks/readers.py, 1035 real entries): it stops at the first broken entry of a file and loses the rest, joins
words that a line end divides with a blank ("HAMAP- Rule", in 329 of 2359 texts), tells no line numbers, and takes twice as
long.
"""

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from data_pipelines.errors import UserError
from data_pipelines.readers.entry import Entry, Reject, checked
from data_pipelines.readers.feature_table import parse_features
from data_pipelines.readers.files import open_bytes, read_lines
from data_pipelines.readers.wrapping import join_lines
from data_pipelines.record import Record

STATUS = {"Reviewed": "swissprot", "STANDARD": "swissprot", "Unreviewed": "trembl", "PRELIMINARY": "trembl"}
TOPICS = {b"FUNCTION": "function", b"SUBCELLULAR LOCATION": "location", b"SIMILARITY": "similarity"}

_READ = frozenset((b"ID", b"AC", b"DE", b"CC", b"PE", b"FT", b"  "))
_OTHER = frozenset(b"DT GN OS OG OC OX OH RN RP RC RX RM RG RA RT RL DR KW SQ XX **".split())
"""Line codes that are read, and the others that may occur; XX and ** are blank and internal lines."""

_ID = re.compile(r"ID +(\S+) +([^;]+); *(?:PRT; *)?(\d+) AA\.?")
_PE = re.compile(r"PE +([1-5])\b")
_PART = re.compile(r"DE +(?:Contains|Includes):")
_DE_LABEL = re.compile(r"(?:RecName|SubName|AltName|Contains|Includes|Flags):")
_FULL_NAME = re.compile(r"(RecName|SubName): Full=(.*?);(?= *(?:\w+: )?\w+=| *Flags:| *$)")


class _Malformed(Exception):
    """An entry that cannot be read; the message says why."""


@dataclasses.dataclass(slots=True)
class _Block:
    """The lines of one entry: `line` is the number of its first, `problem` what is wrong with them."""

    line: int
    lines: dict[bytes, list[bytes]] = dataclasses.field(default_factory=lambda: defaultdict(list))
    problem: str = ""


def read_flat_file(path: Path, omitted: Counter) -> Iterator[Entry]:
    """The entries of a flat file; see `readers.read_entries`."""
    with open_bytes(path) as content:
        for block in _split(read_lines(content), path):
            try:
                record = _parse(block, omitted)
            except _Malformed as error:
                accession = _accession(block.lines[b"AC"]).decode(errors="replace")
                yield Reject(accession, path.name, block.line, str(error))
            else:
                yield checked(record, file=path.name, line=block.line)


def _split(lines: Iterable[bytes], path: Path) -> Iterator[_Block]:
    """The entries' lines. An entry ends at `//`; at the next `ID` line or the end of the file it is broken."""
    block, entries = None, 0
    for number, line in enumerate(lines, 1):
        code = line[:2]
        if block and code in _OTHER:
            continue
        if code == b"//":
            if block:
                yield block
            block = None
        elif code == b"ID" or (not block and line.strip()):
            if block:
                block.problem = block.problem or f"it has no // before the ID line {number}"
                yield block
            if code != b"ID" and not entries:
                raise UserError(f"{path} is no UniProt flat file: it begins with {line[:20]!r}, not with an ID line.")
            block, entries = _Block(number, problem="" if code == b"ID" else "it does not begin with an ID line"), entries + 1
            block.lines[code].append(line)
        elif block and code in _READ and line[2:5] == b"   ":
            block.lines[code].append(line)
        elif block and line.strip():
            block.problem = block.problem or f"line {number} is no line of a flat file: {line[:20]!r}"
    if block:
        block.problem = block.problem or "the file ends before its //"
        yield block
    if not entries:
        raise UserError(f"{path} holds no entry: the file is empty.")


def _parse(block: _Block, omitted: Counter) -> Record:
    if block.problem:
        raise _Malformed(block.problem)
    lines = block.lines
    identity = _ID.fullmatch(_text(lines[b"ID"][0]))
    if not identity:
        raise _Malformed(f"its ID line is not understood: {_text(lines[b'ID'][0])!r}")
    entry_name, status, length = identity.groups()
    if status not in STATUS:
        raise _Malformed(f"its status is {status!r}, none of {', '.join(STATUS)}")
    sequence = _text(b"".join(b"".join(lines[b"  "]).split()))
    if len(sequence) != int(length):
        raise _Malformed(f"its sequence has {len(sequence)} residues, its ID line says {length}")
    return Record(
        accession=_text(_accession(lines[b"AC"])),
        entry_name=entry_name,
        source=STATUS[status],
        sequence=sequence,
        existence=_existence(lines[b"PE"]),
        name=_name(_texts(lines[b"DE"])),
        features=parse_features(_texts(lines[b"FT"]), length=len(sequence), omitted=omitted),
        **_comments(lines[b"CC"]),
    )


def _text(line: bytes) -> str:
    try:
        return line.decode().rstrip()
    except UnicodeDecodeError:
        raise _Malformed(f"it holds bytes that are no UTF-8 text: {line[:60]!r}") from None


def _texts(lines: Sequence[bytes]) -> list[str]:
    """Decodes many lines at once."""
    return _text(b"\n".join(lines)).replace("\r\n", "\n").split("\n") if lines else []


def _accession(lines: Sequence[bytes]) -> bytes:
    return lines[0][2:].partition(b";")[0].strip() if lines else b""


def _existence(lines: Sequence[bytes]) -> int:
    if not lines:
        return 0
    if level := _PE.match(_text(lines[0])):
        return int(level[1])
    raise _Malformed(f"its PE line is not understood: {_text(lines[0])!r}")


def _name(lines: Sequence[str]) -> str:
    """The recommended, else the submitted name, else the old free text; '' without any."""
    parts = (index for index, line in enumerate(lines) if _PART.match(line))
    text = join_lines(line[2:].strip() for line in lines[: next(parts, len(lines))])
    if lines and not _DE_LABEL.match(lines[0][2:].lstrip()):
        return text.removesuffix(".")
    names: dict[str, str] = {}
    for label, name in _FULL_NAME.findall(text):
        names.setdefault(label, name)
    return names.get("RecName") or names.get("SubName") or ""


def _comments(lines: Sequence[bytes]) -> Mapping[str, str]:
    """Property → its comments. The rule of dashes before a copyright notice ends the comments."""
    comments: dict[str, list[list[bytes]]] = defaultdict(list)
    current = None
    for line in lines:
        if line.startswith(b"CC   -!- "):
            topic, _, start = line[9:].partition(b":")
            current = [start] if topic in TOPICS else None
            if current:
                comments[TOPICS[topic]].append(current)
        elif line.startswith(b"CC   ---"):
            current = None
        elif current:
            current.append(line[5:])
    return {name: " ".join(filter(None, map(_comment, blocks))) for name, blocks in comments.items()}


def _comment(lines: Sequence[bytes]) -> str:
    return join_lines(line for line in map(str.strip, _texts(lines)) if line)

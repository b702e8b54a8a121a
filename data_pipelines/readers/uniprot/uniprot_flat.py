"""Reader for UniProtKB flat files (`ID … //`), every layout since about 2000, in constant memory.

Entries are read one at a time and converted thus:
- accession: the first one on `AC`. source: Swiss-Prot if reviewed (`Reviewed`, formerly
  `STANDARD`), else TrEMBL.
- existence: the `PE` level, 0 if missing (entries before 2007).
- name: the `Full` name of the first `RecName`, else of the first `SubName`; names of parts
  (`Contains:`, `Includes:`) do not count. other_names: all other names and EC numbers in order,
  without evidence tags. Before 2008 `DE` was free text: the first name, then others in parentheses
  (see `split_names`).
- function, location, similarity: all comments of that topic in order, joined by a space. The
  molecule a comment is limited to stays in front (`[Isoform 2]: …`), and evidence tags stay.
- organism: the scientific name and strain of the first `OS`. taxon: `OX`. genes: `GN`. go:
  `DR   GO;`.
- features: see `feature_table`.

An unreadable entry becomes a Reject; nothing is skipped silently. Biopython's `Bio.SwissProt` was
compared with this reader (benchmarks/readers.py, 1035 real entries). It stops at the first broken
entry of a file and loses the rest, inserts a space into words split across lines ("HAMAP- Rule", in
329 of 2359 texts), gives no line numbers, and takes two to four times as long.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import Record, strip_evidence
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.pieces import UNFINISHED, pieces
from data_pipelines.readers.uniprot.entry import Malformed, RawEntry, decode, printable
from data_pipelines.readers.uniprot.feature_table import parse_features
from data_pipelines.readers.uniprot.names import (
    ALLERGEN,
    BIOTECH,
    CD_ANTIGEN,
    EC,
    Names,
    split_names,
)
from data_pipelines.readers.uniprot.organism import gene_names, scientific_name
from data_pipelines.readers.uniprot.source_format import SourceFormat
from data_pipelines.readers.uniprot.wrapping import unwrap

STATUS = {
    "Reviewed": "swissprot",
    "STANDARD": "swissprot",
    "Unreviewed": "trembl",
    "PRELIMINARY": "trembl",
}
TOPICS = {"FUNCTION": "function", "SUBCELLULAR LOCATION": "location", "SIMILARITY": "similarity"}

_END = re.compile(rb"\n(?:(?=ID   )|//[^\n]*\n)")
_BETWEEN = re.compile(rb"(?:[ \t\r]*\n|//[^\n]*(?:\n|\Z))*+[ \t\r]*\Z|(?:[ \t\r]*\n|//[^\n]*\n)*+")
"""Blank lines and stray `//` lines, which may occur between entries."""
_LAST_LINE = re.compile(rb"\n//[^\n]*\n?\Z")

_REST = r"[^\n]*+\n"
_LINES = re.compile(
    rf"(?:(?:ID|AC|DE|CC|PE|FT|  )   {_REST}"
    # XX and ** are blank and internal lines.
    rf"|(?:DT|GN|OS|OG|OC|OX|OH|RN|RP|RC|RX|RM|RG|RA|RT|RL|DR|KW|SQ|XX|\*\*){_REST}"
    r"|[ \t]*+\n)*+"
)
"""Every line that may occur, in any order."""
_ORDERED = re.compile(
    rf"(?P<ID>ID   {_REST})(?P<AC>(?:AC   {_REST})++)(?:DT{_REST})*+(?P<DE>(?:DE   {_REST})*+)"
    rf"(?P<GN>(?:GN{_REST})*+)(?P<OS>(?:OS{_REST})*+)(?:(?:OG|OC){_REST})*+(?P<OX>(?:OX{_REST})*+)"
    rf"(?:(?:OH|RN|RP|RC|RX|RG|RA|RT|RL){_REST})*+(?P<CC>(?:CC   {_REST})*+)(?P<DR>(?:DR{_REST})*+)"
    rf"(?P<PE>(?:PE   {_REST})?+)(?:KW{_REST})*+(?P<FT>(?:FT   {_REST})*+)"
    rf"SQ{_REST}(?P<SEQUENCE>(?:     {_REST})*+)//"
)
"""The order UniProt writes, which parses faster."""
_ID = re.compile(r"ID ++(\S++) ++([^;]++); *+(?:PRT; *+)?([0-9]{1,9}) AA\.?[ \t]*+")
_CODES = ("AC", "DE", "GN", "OS", "OX", "CC", "DR", "PE", "FT")
_ACCESSION = re.compile(rb"^AC   *([^\s;]+)", re.MULTILINE)
_PE = re.compile(r"PE +([1-5])\b")
_TAXON = re.compile(r"^OX   NCBI_TaxID=([0-9]{1,12})\b")
_GO = re.compile(r"^DR   GO; (GO:[0-9]{7});", re.MULTILINE)
_PART = re.compile(r"^DE +(?:Contains|Includes):", re.MULTILINE)
_DE_LABEL = re.compile(r"\s*(?:RecName|SubName|AltName|Contains|Includes|Flags):")
_NAME_END = re.compile(r"; *(?=(?:\w+: )?\w+=|Flags:|$)")
_KINDS = {
    "Full": "",
    "Short": "",
    "EC": EC,
    "Allergen": ALLERGEN,
    "Biotech": BIOTECH,
    "CD_antigen": CD_ANTIGEN,
    "INN": "",
}
"""Kind of name in `DE` → its prefix among the other names."""
_COMMENT = re.compile(
    # A rule of dashes precedes the copyright notice.
    rf"^CC   -!- ({'|'.join(TOPICS)}):(.*(?:\nCC   (?!-!- |---).*)*)",
    re.MULTILINE,
)


class UniprotFlat(SourceFormat):
    """UniProt's flat file."""

    name = "flat"
    suffixes = (".dat", ".txt")
    description = "UniProt's flat file"

    def split(self, path: Path) -> Iterator[RawEntry]:
        """Yields raw entries. An entry ends at `//`; one that ends at an `ID` line is broken."""
        empty = True
        with open_bytes(path) as content:
            for line, text, problem in pieces(content, _find_end):
                between = _BETWEEN.match(text).end()
                line, text = line + text.count(b"\n", 0, between), text[between:]
                if not text:
                    continue
                if empty and not text.startswith(b"ID   "):
                    raise UserError(
                        f"{path} is not a UniProt flat file: it begins with {text[:20]!r}; "
                        "expected an ID line."
                    )
                empty = False
                yield RawEntry(self.name, path.name, line, text, _problem(text, problem, line))
        if empty:
            raise UserError(f"{path} has no entries: the file is empty.")

    def accession(self, raw: RawEntry) -> str:
        """Returns the accession of a possibly broken entry, '' if not found."""
        return raw.find(_ACCESSION)

    def parse(self, raw: RawEntry, omitted: Counter) -> Record:
        """Parses an entry into a record.

        Raises:
          Malformed: the entry is not valid.
        """
        text = decode(raw.content)
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        ordered = _ORDERED.match(text)
        lines = ordered.groupdict() if ordered else _sections(text, first_line=raw.line)
        identity = _ID.fullmatch(lines["ID"].rstrip("\n"))
        if not identity:
            raise Malformed(
                f"its ID line cannot be parsed: {printable(lines['ID'][:100].rstrip())!r}"
            )
        entry_name, status, length = identity.groups()
        if status not in STATUS:
            raise Malformed(
                f"its status is {printable(status[:30])!r}; expected {', '.join(STATUS)}"
            )
        sequence = "".join(lines["SEQUENCE"].split())
        if len(sequence) != int(length):
            raise Malformed(
                f"its sequence has {len(sequence)} residues, but its ID line says {length}"
            )
        names = _names(lines["DE"])
        return Record(
            accession=lines["AC"][2:].lstrip().partition("\n")[0].partition(";")[0].rstrip(),
            entry_name=entry_name,
            source=STATUS[status],
            sequence=sequence,
            existence=_existence(lines["PE"]),
            name=names.name,
            other_names=names.others,
            organism=scientific_name(_joined(lines["OS"])),
            taxon=_taxon(lines["OX"]),
            genes=gene_names(_joined(lines["GN"])),
            go=tuple(_GO.findall(lines["DR"])),
            features=parse_features(lines["FT"], length=len(sequence), omitted=omitted),
            **_comments(lines["CC"]),
        )


def _find_end(buffer: bytes, start: int, look_from: int) -> int:
    found = _END.search(buffer, look_from)
    return found.end() if found else -1


def _problem(text: bytes, problem: str, line: int) -> str:
    if not text.startswith(b"ID   "):
        return "it does not begin with an ID line"
    if problem and not (problem == UNFINISHED and _LAST_LINE.search(text)):
        return "the file ends before its //" if problem == UNFINISHED else problem
    following = line + text.count(b"\n")
    return "" if _LAST_LINE.search(text) else f"it has no // before the ID line {following}"


def _sections(text: str, *, first_line: int) -> dict[str, str]:
    """Maps each line code to its lines, wherever they stand in the entry."""
    end = text.rindex("\n//") + 1
    if (wrong := _LINES.match(text, 0, end).end()) != end:
        line = text[wrong : text.index("\n", wrong)]
        number = first_line + text.count("\n", 0, wrong)
        raise Malformed(f"line {number} is not a flat file line: {printable(line[:20])!r}")
    lines = defaultdict(list)
    for line in text[:end].split("\n"):
        lines[line[:2]].append(line + "\n")
    return {code: "".join(lines[code]) for code in _CODES} | {
        "ID": lines["ID"][0],
        "SEQUENCE": "".join(lines["  "]),
    }


def _existence(lines: str) -> int:
    if not lines:
        return 0
    if level := _PE.match(lines):
        return int(level[1])
    raise Malformed(f"its PE line cannot be parsed: {printable(lines[:100])!r}")


def _joined(lines: str) -> str:
    """The unwrapped text of the lines of one code."""
    return unwrap("\n".join(line[2:] for line in lines.split("\n")))


def _taxon(lines: str) -> int:
    found = _TAXON.match(lines)
    return int(found[1]) if found else 0


def _names(lines: str) -> Names:
    """The recommended (else submitted) name and the others, or those of the old free text."""
    if part := _PART.search(lines):
        lines = lines[: part.start()]
    text = unwrap(lines[2:].replace("\nDE", "\n"))
    if lines and not _DE_LABEL.match(text):
        return split_names(text.removesuffix("."))
    # The text after the last separator is not a name.
    named = [part.partition("=")[::2] for part in _NAME_END.split(text)[:-1]]
    labels = [label for label, _ in named]
    mains = (label for label in ("RecName: Full", "SubName: Full") if label in labels)
    first = next(mains, None)
    if first is None:
        return Names("", ())
    _, name = named.pop(labels.index(first))
    kinds = [(label.rpartition(": ")[2], other) for label, other in named]
    others = [_KINDS[kind] + strip_evidence(other) for kind, other in kinds if kind in _KINDS]
    return Names(name, tuple(others))


def _comments(lines: str) -> Mapping[str, str]:
    """Maps each property to its comments."""
    comments = defaultdict(list)
    for topic, comment in _COMMENT.findall(lines):
        comments[TOPICS[topic]].append(unwrap(comment.replace("\nCC", "\n")))
    return {name: " ".join(filter(None, texts)) for name, texts in comments.items()}

"""Reader for UniProtKB XML, one entry at a time in bounded memory.

Every field equals what the flat file of the same entry gives, evidence tags included
(`flat_style`), except:
- evidence tags on names, which XML has only since 2014;
- the first letter of the note of a variant, conflict or alternative sequence, which XML
  capitalizes: it becomes lower-case unless another capital follows;
- the period at the end of a mutagenesis note, which XML always writes.

Entries cannot refer to anything outside the file, because a document type, the only place that
declares entities, is refused. lxml parses two to three times as fast as the standard library
(benchmarks/readers.py), which would at most double this reader's speed. The flat file of the same
entries is faster still, so that does not justify a dependency. Biopython's `uniprot-xml` is slower
than this reader and drops the evidence and the molecule of statements.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import Feature, Record
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.pieces import UNFINISHED, pieces
from data_pipelines.readers.uniprot.entry import Malformed, RawEntry, decode, printable
from data_pipelines.readers.uniprot.feature_table import WITH_SEQUENCE, binding_note, residues
from data_pipelines.readers.uniprot.feature_types import OF_XML
from data_pipelines.readers.uniprot.flat_style import (
    Tagged,
    comment,
    existence_level,
    location_comment,
    sequence_note,
    tagged,
)
from data_pipelines.readers.uniprot.names import ALLERGEN, BIOTECH, CD_ANTIGEN, EC, Names
from data_pipelines.readers.uniprot.organism import taxon_id
from data_pipelines.readers.uniprot.source_format import SourceFormat

SOURCES = {"Swiss-Prot": "swissprot", "TrEMBL": "trembl"}
TOPICS = {"function": "function", "subcellular location": "location", "similarity": "similarity"}

_START = re.compile(rb"<entry[\s>]")
_BORDER = re.compile(rb"</entry\s*>|<entry[\s>]")
_END = re.compile(rb"</entry\s*>\Z")
_NAMESPACE = re.compile(rb"""\sxmlns\s*=\s*(?:"[^"<]*"|'[^'<]*')""")
_ENCODING = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([^"']*)["']""")
_ACCESSION = re.compile(rb"<accession>\s*([^<\s]+)")
_BLOCKS = ("recommendedName", "alternativeName", "submittedName")
_KINDS = {
    "fullName": "",
    "shortName": "",
    "ecNumber": EC,
    "allergenName": ALLERGEN,
    "biotechName": BIOTECH,
    "cdAntigenName": CD_ANTIGEN,
    "innName": "",
}
"""Elements that hold a name → its prefix among the other names."""


class UniprotXml(SourceFormat):
    """UniProt's XML."""

    name = "xml"
    suffixes = (".xml",)
    description = "UniProt's XML"

    def split(self, path: Path) -> Iterator[RawEntry]:
        """Yields raw entries. One without `</entry>` ends at the next `<entry` and is broken."""
        empty = True
        with open_bytes(path) as content:
            for line, text, problem in pieces(content, _find_end):
                start = _START.search(text)
                if empty:
                    _check_prolog(text[: start.start()] if start else text, path)
                empty = False
                if not start:
                    if problem == UNFINISHED and b"</uniprot" not in text:
                        yield RawEntry(
                            self.name, path.name, line, b"", "the file ends before its </uniprot>"
                        )
                    continue
                line, text = line + text.count(b"\n", 0, start.start()), text[start.start() :]
                yield RawEntry(self.name, path.name, line, text, _problem(text, problem))
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
        head, mark, body = raw.content.partition(b">")
        try:
            entry = ElementTree.fromstring(_NAMESPACE.sub(b"", head) + mark + body)
        except ElementTree.ParseError as error:
            raise Malformed(f"it is not well-formed XML: {error}") from None
        source = entry.get("dataset", "")
        if source not in SOURCES:
            raise Malformed(
                f"its dataset is {printable(source[:30])!r}; expected {' or '.join(SOURCES)}"
            )
        evidence = _evidence(entry)
        sequence = _sequence(entry)
        existence = entry.find("proteinExistence")
        names = _names(entry, evidence)
        genes = [_text(name) for name in entry.iterfind("gene/name")]
        references = entry.iterfind("dbReference[@type='GO']")
        return Record(
            accession=_text(entry.find("accession")),
            entry_name=_text(entry.find("name")),
            source=SOURCES[source],
            sequence=sequence,
            existence=0 if existence is None else existence_level(existence.get("type", "none")),
            name=names.name,
            other_names=names.others,
            organism=_text(entry.find("organism/name[@type='scientific']")),
            taxon=_taxon(entry),
            genes=tuple(genes),
            go=tuple(reference.get("id", "") for reference in references),
            features=_features(entry, length=len(sequence), omitted=omitted),
            **_comments(entry, evidence),
        )


def _find_end(buffer: bytes, start: int, look_from: int) -> int:
    for border in _BORDER.finditer(buffer, look_from):
        if border[0].startswith(b"</"):
            return border.end()
        # The first start is the piece's own entry, unless only blanks or the prolog precede it.
        if _START.search(buffer, start, border.start()):
            return border.start()
    return -1


def _check_prolog(prolog: bytes, path: Path) -> None:
    if b"<uniprot" not in prolog:
        raise UserError(
            f"{path} is not UniProt XML: it begins with {prolog[:20]!r} and no <uniprot> element "
            "precedes its entries."
        )
    if b"<!DOCTYPE" in prolog.upper():
        raise UserError(
            f"{path} declares a document type (DOCTYPE), which UniProt's XML never does and which "
            "may be an attack; remove the declaration."
        )
    encoding = _ENCODING.search(prolog)
    if encoding and encoding[1].upper() not in (b"UTF-8", b"US-ASCII"):
        raise UserError(
            f"{path} is encoded in {decode(encoding[1])[:20]!r}; save it as UTF-8, as UniProt does."
        )


def _problem(text: bytes, problem: str) -> str:
    if problem:
        return "the file ends before its </entry>" if problem == UNFINISHED else problem
    return "" if _END.search(text) else "it has no </entry> before the next entry"


def _text(element: ElementTree.Element | None) -> str:
    return "" if element is None else " ".join((element.text or "").split())


def _sequence(entry: ElementTree.Element) -> str:
    """The entry's sequence, checked against its length attribute."""
    element = entry.find("sequence")
    if element is None:
        return ""
    sequence = _letters(element)
    length = element.get("length", str(len(sequence)))
    if length != str(len(sequence)):
        raise Malformed(
            f"its sequence has {len(sequence)} residues, but its length attribute says "
            f"{printable(length[:20])}"
        )
    return sequence


def _taxon(entry: ElementTree.Element) -> int:
    reference = entry.find("organism/dbReference[@type='NCBI Taxonomy']")
    return taxon_id("" if reference is None else reference.get("id", ""))


def _evidence(entry: ElementTree.Element) -> dict[str, str]:
    """Maps evidence keys to tags: `ECO:0000269|PubMed:1`."""
    tags = {}
    for element in entry.iterfind("evidence"):
        tag = element.get("type", "")
        reference, source = element.find("source/dbReference"), element.find("source")
        if reference is not None:
            tag += f"|{reference.get('type', '')}:{reference.get('id', '')}"
        elif source is not None:
            tag += f"|Ref.{source.get('ref', '')}"
        tags[element.get("key", "")] = tag
    return tags


def _tagged(element: ElementTree.Element, evidence: Mapping[str, str]) -> Tagged:
    return _text(element), [
        evidence[key] for key in element.get("evidence", "").split() if key in evidence
    ]


def _names(entry: ElementTree.Element, evidence: Mapping[str, str]) -> Names:
    paths = ("protein/recommendedName/fullName", "protein/submittedName/fullName")
    found = (element for element in map(entry.find, paths) if element is not None)
    first = next(found, None)
    if first is None:
        return Names("", ())
    others = [
        element
        for element in _name_elements(entry)
        if element is not first and element.tag in _KINDS
    ]
    return Names(
        tagged(*_tagged(first, evidence)),
        tuple(_KINDS[element.tag] + _text(element) for element in others),
    )


def _name_elements(entry: ElementTree.Element) -> Iterator[ElementTree.Element]:
    for element in entry.iterfind("protein/*"):
        if element.tag in _BLOCKS:
            yield from element
        else:
            yield element


def _comments(entry: ElementTree.Element, evidence: Mapping[str, str]) -> dict[str, str]:
    """Maps each property to its comments."""
    comments = defaultdict(list)
    for element in entry.iterfind("comment"):
        if (topic := element.get("type")) not in TOPICS:
            continue
        molecule = _text(element.find("molecule"))
        texts = [_tagged(text, evidence) for text in element.iterfind("text")]
        if topic == "subcellular location":
            locations = [
                _location(location, evidence)
                for location in element.iterfind("subcellularLocation")
            ]
            text = location_comment(molecule, locations, texts)
        else:
            text = comment(molecule, texts)
        comments[TOPICS[topic]].append(text)
    return {name: " ".join(filter(None, texts)) for name, texts in comments.items()}


def _location(element: ElementTree.Element, evidence: Mapping[str, str]) -> list[Tagged]:
    parts = [element.findall(name) for name in ("location", "topology", "orientation")]
    return [_joined(values, evidence) for values in parts if values]


def _joined(elements: Sequence[ElementTree.Element], evidence: Mapping[str, str]) -> Tagged:
    """Joins what XML splits: `Plastid, amyloplast` is stored as `Plastid` and `Amyloplast`."""
    values = [_tagged(element, evidence) for element in elements]
    first, *others = [text for text, _ in values]
    tags = set().union(*(tags for _, tags in values))
    return ", ".join([first, *map(_small, others)]), sorted(tags)


def _small(text: str) -> str:
    """Makes the first letter lower-case, unless the text begins with an acronym: `GPI-anchor`."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _features(entry: ElementTree.Element, *, length: int, omitted: Counter) -> tuple[Feature, ...]:
    features = []
    for element in entry.iterfind("feature"):
        location = element.find("location")
        position = "position unknown" if location is None else _residues(location, length)
        type_ = OF_XML.get(element.get("type", ""))
        if type_ is None:
            omitted["type not known"] += 1
        elif isinstance(position, str):
            omitted[position] += 1
        else:
            features.append(Feature(type_, *position, _note(type_, element)))
    return tuple(features)


def _residues(location: ElementTree.Element, length: int) -> tuple[int, int] | str:
    if location.get("sequence"):
        return "on another sequence"
    one = location.find("position")
    ends = [one, one] if one is not None else [location.find("begin"), location.find("end")]
    return residues(
        "..".join("" if end is None else end.get("position", "") for end in ends), length
    )


def _note(type_: str, element: ElementTree.Element) -> str:
    """The feature's note as in the flat file's `/note`."""
    description = " ".join(element.get("description", "").split())
    if type_ in WITH_SEQUENCE:
        if type_ != "MUTAGEN":
            description = _small(description.removesuffix("."))
        variations = list(map(_letters, element.iterfind("variation")))
        return sequence_note(type_, _letters(element.find("original")), variations, description)
    qualifiers = {"note": description}
    for tag, name in (("ligand", "ligand"), ("ligandPart", "ligand_part")):
        if (bound := element.find(tag)) is not None:
            qualifiers |= {
                name: _text(bound.find("name")),
                f"{name}_label": _text(bound.find("label")),
            }
            qualifiers |= {f"{name}_note": _text(bound.find("note"))}
    return binding_note(qualifiers) if "ligand" in qualifiers else description


def _letters(element: ElementTree.Element | None) -> str:
    return "" if element is None else "".join((element.text or "").split())

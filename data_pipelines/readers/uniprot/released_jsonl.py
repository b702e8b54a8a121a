"""The released ProtAnno: JSON lines of `seq` and `text`, the biotext, `PROTEIN NAME: …. FUNCTION:
…. SIMILARITY: ….`.

What becomes of an entry:
- accession: the release has none; `SEQ` and 16 hexadecimal digits of the sequence's SHA-256, the
  same wherever it stands.
- entry_name, features: none. existence: 0, unknown. source: Swiss-Prot, the one that sampling takes
  whole: the release was thinned by its makers already.
- name, other_names: the first name, and what the text appends in parentheses (see `split_names`),
  without its final stop.
- function, location, similarity: from their heading to the next, where the headings stand in the
  biotext's order, each once (or again after a semicolon, which separates the comments of one
  topic). Else a word of a text cannot be told from a heading: the name, which comes first, is
  taken alone, and `omitted` counts the text.
"""

import hashlib
import re
from collections import Counter

from data_pipelines.protanno.record import PREFIXES, PROPERTIES, Record
from data_pipelines.readers.uniprot.entry import Malformed, printable
from data_pipelines.readers.uniprot.flat_style import comments
from data_pipelines.readers.uniprot.json_format import JsonFormat, member
from data_pipelines.readers.uniprot.names import split_names

_HEADINGS = {PREFIXES[name]: name for name in PROPERTIES[1:]}
_HEADING = re.compile(rf"(?<=[^;]) ({'|'.join(_HEADINGS)}): ")


class ReleasedJsonl(JsonFormat):
    """The released ProtAnno's objects."""

    name = "released_jsonl"
    description = "the released ProtAnno's JSON lines"

    def recognises(self, content: bytes) -> bool:
        """Whether an object has the keys of the release, and no entry type as UniProt's have."""
        if b'"entryType"' in content:
            return False
        return b'"seq"' in content and b'"text"' in content

    def record(self, entry: dict, omitted: Counter) -> Record:
        """The record of an object's sequence and biotext.

        Raises:
          Malformed: the text does not begin with the protein's name.
        """
        sequence = member(entry, "seq", str)
        text = " ".join(member(entry, "text", str).split())
        if not text.startswith(f"{PREFIXES['name']}: "):
            raise Malformed(
                f"its text begins with {printable(text[:20])!r}, not with {PREFIXES['name']}:"
            )
        name, *parts = _HEADING.split(text)
        names = [_HEADINGS[heading] for heading in parts[::2]]
        if names != [known for known in PROPERTIES if known in names]:
            omitted["text whose properties cannot be told apart"] += 1
            parts, names = [], []
        all_names = split_names(name.removeprefix(f"{PREFIXES['name']}: ").removesuffix("."))
        digits = hashlib.sha256(sequence.encode(errors="replace")).hexdigest()[:16].upper()
        return Record(
            accession=f"SEQ{digits}",
            entry_name="",
            source="swissprot",
            sequence=sequence,
            existence=0,
            name=all_names.name,
            other_names=all_names.others,
            **{
                known: comments(content, PREFIXES[known])
                for known, content in zip(names, parts[1::2], strict=True)
            },
        )

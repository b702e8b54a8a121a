"""The released ProtAnno: JSON lines with `seq` and the biotext `text`.

A biotext looks like `PROTEIN NAME: …. FUNCTION: …. SIMILARITY: ….`. An entry is converted thus:
- accession: the release has none; `SEQ` and 16 hexadecimal digits of the sequence's SHA-256.
- entry_name, features: none. existence: 0 (unknown). source: Swiss-Prot, which is sampled in full,
  because the authors already thinned the release.
- name, other_names: the first name, and the names in parentheses after it (see `split_names`),
  without the final period.
- function, location, similarity: the text from their heading to the next. This requires the
  headings in the biotext's order, each once (or again after a semicolon, which separates comments
  of one topic). Otherwise a heading cannot be distinguished from a word of the text: only the name,
  which comes first, is kept, and `omitted` counts the text.
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
        """Whether an object has the release's keys and lacks UniProt's `entryType`."""
        if b'"entryType"' in content:
            return False
        return b'"seq"' in content and b'"text"' in content

    def record(self, entry: dict, omitted: Counter) -> Record:
        """Converts an object's sequence and biotext to a record.

        Raises:
          Malformed: the text does not begin with the protein's name.
        """
        sequence = member(entry, "seq", str)
        text = " ".join(member(entry, "text", str).split())
        if not text.startswith(f"{PREFIXES['name']}: "):
            raise Malformed(
                f"its text begins with {printable(text[:20])!r}; expected {PREFIXES['name']}:"
            )
        name, *parts = _HEADING.split(text)
        names = [_HEADINGS[heading] for heading in parts[::2]]
        if names != [known for known in PROPERTIES if known in names]:
            omitted["text whose properties cannot be separated"] += 1
            parts, names = [], []
        all_names = split_names(name.removeprefix(f"{PREFIXES['name']}: ").removesuffix("."))
        digits = hashlib.sha256(sequence.encode(errors="replace")).hexdigest()[:16].upper()
        contents = zip(names, parts[1::2], strict=True)
        properties = {known: comments(content, PREFIXES[known]) for known, content in contents}
        return Record(
            accession=f"SEQ{digits}",
            entry_name="",
            source="swissprot",
            sequence=sequence,
            existence=0,
            name=all_names.name,
            other_names=all_names.others,
            **properties,
        )

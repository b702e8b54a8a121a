"""Questions about single properties and the proteins that answer them, from a file or the texts.

A question is a text such as `SUBCELLULAR LOCATION: Nucleus.` and has a kind such as `location`. If
a protein's kind is known, it answers some questions of that kind and none of the others. If not, it
is left out.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json
from data_pipelines.protanno.record import PREFIXES, Record, strip_evidence

FILE = "questions.json"
"""File name in a dataset folder."""
SAID_FILE = "said.json"
"""Same format: the proteins whose texts claim the answer, right or wrong."""

Questions = Mapping[str, Mapping[str, frozenset[str]]]
"""Kind → question → the accessions of the proteins that answer it."""

_ISOFORM = re.compile(r"\[[^\]]*\]:")
_FAMILY = re.compile(r"[Bb]elongs to the ([^.;]*?(?:superfamily|subfamily|family))\b")
_EC = re.compile(r"EC (\d+\.\d+\.\d+\.\d+)")
_NAMES_IN_PARENTHESES = re.compile(r"\s*\([^()]*\)")
_MAX_WORDS = 6
"""Maximum words of a compartment; longer ones are sentences."""


class Answer(NamedTuple):
    """A question that a protein answers."""

    kind: str
    question: str


def load_questions(directory: Path, file: str = FILE) -> Questions:
    """Reads the questions of a dataset folder; empty if it was built without questions.

    Raises:
      UserError: the file is damaged.
    """
    path = directory / file
    if not path.exists():
        return {}
    found = read_json(path)
    if not all(map(_is_kind, found.values())):
        raise UserError(
            f"{path} is damaged: it does not list questions by kind; rebuild the dataset."
        )
    return frozen(found)


def frozen(found: Mapping[str, Mapping[str, Iterable[str]]]) -> Questions:
    """Converts lists of accessions to frozen sets."""
    questions = {}
    for kind, of_kind in found.items():
        questions[kind] = {text: frozenset(names) for text, names in of_kind.items()}
    return questions


def _is_kind(of_kind: object) -> bool:
    return isinstance(of_kind, dict) and all(isinstance(names, list) for names in of_kind.values())


def save_questions(directory: Path, questions: Questions, file: str = FILE) -> None:
    """Writes questions in the format of `load_questions`."""
    listed: dict[str, dict[str, list[str]]] = {}
    for kind, of_kind in sorted(questions.items()):
        listed[kind] = {text: sorted(names) for text, names in sorted(of_kind.items())}
    (directory / file).write_text(
        json.dumps(listed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def said_by(records: Iterable[Record], enzymes: Mapping[str, str] | None = None) -> Questions:
    """Derives questions of the kinds `location`, `family` and `enzyme` from the records' own texts.

    Args:
      enzymes: EC number → its question; other numbers are their own question. The default is
        `enzyme_questions` of the records.
    """
    records = list(records)
    by_number = enzyme_questions(records) if enzymes is None else enzymes
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for record in records:
        for kind, question in answers(record):
            found[kind][question].add(record.accession)
        for number in _numbers(record):
            found["enzyme"][by_number.get(number, number)].add(record.accession)
    return frozen(found)


def enzyme_questions(records: Iterable[Record]) -> dict[str, str]:
    """Maps EC numbers to questions, with the name that most of their proteins have."""
    names: dict[str, Counter] = defaultdict(Counter)
    for record in records:
        for number in _numbers(record):
            names[number][_NAMES_IN_PARENTHESES.sub("", record.name)] += 1
    return {
        number: f"{PREFIXES['name']}: {min(c, key=lambda name: (-c[name], name))}."
        for number, c in names.items()
    }


def answers(record: Record) -> set[Answer]:
    """The compartments and families named in a record's texts, as questions."""
    location, similarity = PREFIXES["location"], PREFIXES["similarity"]
    found = {Answer("location", f"{location}: {name}.") for name in compartments(record.location)}
    families = _FAMILY.findall(strip_evidence(record.similarity))
    return found | {Answer("family", f"{similarity}: Belongs to the {name}.") for name in families}


def compartments(location: str) -> set[str]:
    """Extracts the top-level compartments from UniProt's text.

    `[Isoform 1]: Nucleus, nucleolus {ECO:…}. Note=…` gives `Nucleus`.
    """
    text = _ISOFORM.sub("", strip_evidence(location).partition("Note=")[0])
    names = {part.partition(";")[0].partition(",")[0].strip() for part in text.split(".")}
    return {name for name in names if name and len(name.split()) <= _MAX_WORDS}


def _numbers(record: Record) -> set[str]:
    """The complete EC numbers among a record's names."""
    return set(_EC.findall(" ".join([record.name, *record.other_names])))

"""Questions about single properties, and the proteins that answer each: a dataset's own, or what
records say.

A question is a text such as `SUBCELLULAR LOCATION: Nucleus.`, of a kind such as `location`. A
protein of which a kind is known answers some of its questions and none of the others; a protein
of which it is unknown takes no part.
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
"""In a dataset's folder."""
SAID_FILE = "said.json"
"""Of the same form: who says so, wrong or right."""

Questions = Mapping[str, Mapping[str, frozenset[str]]]
"""Kind → question → the accessions of the proteins that answer it."""

_ISOFORM = re.compile(r"\[[^\]]*\]:")
_FAMILY = re.compile(r"[Bb]elongs to the ([^.;]*?(?:superfamily|subfamily|family))\b")
_EC = re.compile(r"EC (\d+\.\d+\.\d+\.\d+)")
_NAMES_IN_PARENTHESES = re.compile(r"\s*\([^()]*\)")
_MAX_WORDS = 6
"""Of a compartment: what is longer is a sentence."""


class Answer(NamedTuple):
    """A question that a protein answers."""

    kind: str
    question: str


def load_questions(directory: Path, file: str = FILE) -> Questions:
    """The questions of a dataset's folder; none where it was built without.

    Raises:
      UserError: the file is damaged.
    """
    path = directory / file
    if not path.exists():
        return {}
    found = read_json(path)
    if not all(map(_is_kind, found.values())):
        raise UserError(
            f"{path} is damaged: it holds no questions by kind; build the dataset again."
        )
    return frozen(found)


def frozen(found: Mapping[str, Mapping[str, Iterable[str]]]) -> Questions:
    """The questions with their accessions as sets that do not change."""
    questions = {}
    for kind, asked in found.items():
        questions[kind] = {text: frozenset(names) for text, names in asked.items()}
    return questions


def _is_kind(asked: object) -> bool:
    return isinstance(asked, dict) and all(isinstance(names, list) for names in asked.values())


def save_questions(directory: Path, questions: Questions, file: str = FILE) -> None:
    """Writes what `load_questions` reads."""
    listed = {
        kind: {text: sorted(names) for text, names in sorted(asked.items())}
        for kind, asked in sorted(questions.items())
    }
    (directory / file).write_text(
        json.dumps(listed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def said_by(records: Iterable[Record], enzymes: Mapping[str, str] | None = None) -> Questions:
    """The questions that what records say about themselves answers: `location`, `family` and
    `enzyme`.

    Args:
      enzymes: EC number → the question that asks for it; other numbers stand for themselves. By
        default `enzyme_questions` of the records.
    """
    records = list(records)
    asked = enzyme_questions(records) if enzymes is None else enzymes
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for record in records:
        for kind, question in answers(record):
            found[kind][question].add(record.accession)
        for number in _numbers(record):
            found["enzyme"][asked.get(number, number)].add(record.accession)
    return frozen(found)


def enzyme_questions(records: Iterable[Record]) -> dict[str, str]:
    """EC number → the question for it, by the name that most of its proteins have."""
    names: dict[str, Counter] = defaultdict(Counter)
    for record in records:
        for number in _numbers(record):
            names[number][_NAMES_IN_PARENTHESES.sub("", record.name)] += 1
    return {
        number: f"{PREFIXES['name']}: {min(c, key=lambda name: (-c[name], name))}."
        for number, c in names.items()
    }


def answers(record: Record) -> set[Answer]:
    """The compartments and families that a record's texts name, as questions."""
    found = {
        Answer("location", f"{PREFIXES['location']}: {name}.")
        for name in compartments(record.location)
    }
    families = _FAMILY.findall(strip_evidence(record.similarity))
    return found | {
        Answer("family", f"{PREFIXES['similarity']}: Belongs to the {name}.") for name in families
    }


def compartments(location: str) -> set[str]:
    """The top-level compartments of UniProt's text, such as `Nucleus` of `[Isoform 1]: Nucleus,
    nucleolus {ECO:…}. Note=…`."""
    text = _ISOFORM.sub("", strip_evidence(location).partition("Note=")[0])
    names = {part.partition(";")[0].partition(",")[0].strip() for part in text.split(".")}
    return {name for name in names if name and len(name.split()) <= _MAX_WORDS}


def _numbers(record: Record) -> set[str]:
    """The complete EC numbers among a record's names."""
    return set(_EC.findall(" ".join([record.name, *record.other_names])))

"""Reads files of questions about single properties, which a dataset keeps for evaluation."""

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.questions import Questions, frozen
from data_pipelines.readers.table import open_table

COLUMNS = ("kind", "question", "accession")
TEXT = "text"
"""Optional column: what the protein's own text says about the answer."""
SAYS, OMITS, ERRS = "says", "omits", "errs"
_KIND = re.compile(r"[a-z][a-z0-9_]*")


class Answers(NamedTuple):
    """The proteins that answer each question, and those whose texts claim to."""

    true: Questions
    said: Questions
    """Claims of the proteins' own texts, right or wrong; empty if the file has no `text` column."""


def read_questions(path: Path) -> Answers:
    """Reads questions from a TSV with the columns `COLUMNS`, one row per answering protein.

    An optional column `text` says what the protein's own text does: `says` or `omits` this true
    answer, or `errs`, if the text states an answer that is not true.

    Raises:
      UserError: the file cannot be read, lacks a column, has no rows, or a row is incomplete.
    """
    true: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    said: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    with open_table(path, "tsv") as table:
        if missing := [name for name in COLUMNS if name not in table.header]:
            raise UserError(
                f"{path} has no column {missing[0]}; its header must have {', '.join(COLUMNS)}."
            )
        columns = (*COLUMNS, TEXT) if TEXT in table.header else COLUMNS
        places = [table.header.index(name) for name in columns]
        for line, cells in table.rows():
            row = [cells[place].strip() if place < len(cells) else "" for place in places]
            if not all(row) or not _KIND.fullmatch(row[0]):
                raise UserError(
                    f"{path}, line {line} is {cells!r:.100}; "
                    "expected a kind in lower-case letters, a question and an accession."
                )
            kind, question, accession, *text = row
            if text and text[0] not in (SAYS, OMITS, ERRS):
                raise UserError(
                    f"{path}, line {line}: text is {text[0]!r:.50}; "
                    f"expected {SAYS}, {OMITS} or {ERRS}."
                )
            if text != [ERRS]:
                true[kind][question].add(accession)
            if text in ([SAYS], [ERRS]):
                said[kind][question].add(accession)
    if not true:
        raise UserError(f"{path} has no questions; add a row for each answering protein.")
    return Answers(frozen(true), frozen(said))

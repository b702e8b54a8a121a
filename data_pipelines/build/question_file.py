"""Files of questions about single properties, which a dataset keeps for its evaluations."""

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.questions import Questions, frozen
from data_pipelines.readers.table import open_table

COLUMNS = ("kind", "question", "accession")
TEXT = "text"
"""A column that may be there: what the protein's own text does about the answer."""
SAYS, OMITS, ERRS = "says", "omits", "errs"
_KIND = re.compile(r"[a-z][a-z0-9_]*")


class Answers(NamedTuple):
    """Who answers each question, and who says so."""

    true: Questions
    said: Questions
    """By their own texts, wrong or right; empty where the file has no column `text`."""


def read_questions(path: Path) -> Answers:
    """The questions of a TSV with the columns `COLUMNS`, a row for each protein that answers.

    With a column `text`, a row also says what the protein's own text does: it `says` or `omits`
    this true answer, or it `errs` and states it although it is untrue.

    Raises:
      UserError: the file cannot be read, lacks a column or holds no row, or a row is incomplete.
    """
    true: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    said: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    with open_table(path, "tsv") as table:
        if missing := [name for name in COLUMNS if name not in table.header]:
            raise UserError(
                f"{path} has no column {missing[0]}; its header must name {', '.join(COLUMNS)}."
            )
        columns = (*COLUMNS, TEXT) if TEXT in table.header else COLUMNS
        places = [table.header.index(name) for name in columns]
        for line, cells in table.rows():
            row = [cells[place].strip() if place < len(cells) else "" for place in places]
            if not all(row) or not _KIND.fullmatch(row[0]):
                raise UserError(
                    f"{path}, line {line}: give a kind of small letters, a question and an "
                    f"accession, not {cells!r:.100}."
                )
            kind, question, accession, *text = row
            if text and text[0] not in (SAYS, OMITS, ERRS):
                raise UserError(
                    f"{path}, line {line}: text is {text[0]!r:.50}; expected {SAYS}, {OMITS} "
                    f"or {ERRS}."
                )
            if text != [ERRS]:
                true[kind][question].add(accession)
            if text in ([SAYS], [ERRS]):
                said[kind][question].add(accession)
    if not true:
        raise UserError(f"{path} holds no question.")
    return Answers(frozen(true), frozen(said))

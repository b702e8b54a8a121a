"""Files of questions about single properties, which a dataset keeps for its evaluations."""

import re
from collections import defaultdict
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.questions import Questions, frozen
from data_pipelines.readers.table import open_table

COLUMNS = ("kind", "question", "accession")
_KIND = re.compile(r"[a-z][a-z0-9_]*")


def read_questions(path: Path) -> Questions:
    """The questions of a TSV with the columns `COLUMNS`, a row for each protein that answers.

    Raises:
      UserError: the file cannot be read, lacks a column or holds no row, or a row is incomplete.
    """
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    with open_table(path, "tsv") as table:
        if missing := [name for name in COLUMNS if name not in table.header]:
            raise UserError(f"{path} has no column {missing[0]}; its header must name {', '.join(COLUMNS)}.")
        places = [table.header.index(name) for name in COLUMNS]
        for line, cells in table.rows():
            row = [cells[place].strip() if place < len(cells) else "" for place in places]
            if not all(row) or not _KIND.fullmatch(row[0]):
                raise UserError(
                    f"{path}, line {line}: give a kind of small letters, a question and an accession, not {cells!r:.100}."
                )
            kind, question, accession = row
            found[kind][question].add(accession)
    if not found:
        raise UserError(f"{path} holds no question.")
    return frozen(found)

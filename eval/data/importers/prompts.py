"""Joins the class prompts of ProtST's zero-shot protocol to a task's classes by name.

By name, because their label orders differ.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.format import Format, NeutralFolder
from eval.data.base.gathered import Gathered
from eval.data.base.rows import Row, table_rows
from eval.data.base.task import PromptedTask, Task
from eval.data.importers.reaction import read_functions

CLASS, PROMPT = "class", "prompt"
"""Columns of the neutral layout."""
NO_PROMPT = "its prompt is empty"


def read_prompted(
    task: Task,
    *,
    tables: Mapping[str, Path],
    columns: Sequence[str] = ("name",),
    functions: Path | None = None,
) -> PromptedTask:
    """Adds a set of prompts from each column of each of ProtST's tables.

    The sets are named by table, such as `template`, or `template name` where a table has several
    columns.

    Args:
      functions: the list of EC numbers into which the tables' ids index; without it, rows mention
      their class by name.

    Raises:
      UserError: as `read_location_prompts` and `read_reaction_prompts`.
    """
    gathered, prompts = Gathered(), {}
    for name, path in tables.items():
        for column in columns:
            label = name if len(columns) == 1 else f"{name} {column}"
            if functions is None:
                prompts[label] = read_location_prompts(path, task.classes, columns=(column,))
            else:
                prompts[label] = read_reaction_prompts(
                    path, functions, task.classes, columns=(column,)
                )
        gathered.source(path, sum(1 for _ in table_rows(path, Gathered(), columns=["id"])))
    return _prompted(task, prompts, gathered)


def read_prompt_table(task: Task, *, file: Path) -> PromptedTask:
    """Adds the prompts of a table of `class` and `prompt`, one or several rows per class.

    Raises:
      UserError: the file is not such a table, names another class, or lacks a prompt for one.
    """
    gathered, prompts = Gathered(), {name: [] for name in task.classes}
    for row in table_rows(file, gathered, columns=[CLASS, PROMPT]):
        if row.cells[CLASS] not in prompts:
            known = ", ".join(task.classes)[:300]
            raise UserError(
                f"{file}, line {row.line}: unknown class {row.cells[CLASS]!r} of {task.name}; "
                f"expected one of {known}."
            )
        if row.cells[PROMPT]:
            prompts[row.cells[CLASS]].append(row.cells[PROMPT])
        else:
            gathered.reject(file, row.line, row.cells[CLASS], NO_PROMPT)
    if missing := [name for name, texts in prompts.items() if not texts]:
        raise UserError(
            f"{file} has no prompt for the class {missing[0]!r} of {task.name}; add one."
        )
    return _prompted(task, {"prompts": prompts}, gathered)


def _prompted(
    task: Task, prompts: Mapping[str, Mapping[str, list[str]]], gathered: Gathered
) -> PromptedTask:
    rejects, sources = [*task.rejects, *gathered.rejects], [*task.sources, *gathered.sources]
    return PromptedTask(task, prompts, rejects, sources, task.notes)


def read_location_prompts(
    path: Path, classes: Sequence[str], *, columns: Sequence[str] = ("name",)
) -> dict[str, list[str]]:
    """Localisation class → its prompts.

    A class owns the row whose column `name` mentions it (`A protein locating at Cell membrane`).

    Args:
      columns: the columns to use as prompts, of `name` and `description`.

    Raises:
      UserError: the file is not such a table, or a class is in no row or in several.
    """
    rows = _rows(path, columns)
    prompts = {}
    for name in classes:
        found = [row for row in rows if name.lower() in row.cells["name"].lower()]
        if len(found) != 1:
            raise UserError(
                f"{path} mentions the class {name!r} in {len(found)} rows; expected exactly one "
                "row per class."
            )
        prompts[name] = _texts(found[0], columns)
    return prompts


def read_reaction_prompts(
    path: Path, functions: Path, classes: Sequence[str], *, columns: Sequence[str] = ("name",)
) -> dict[str, list[str]]:
    """EC number → its prompts.

    Args:
      path: a table whose column `id` is an index into the list of EC numbers.
      functions: that list, `unique_functions.txt`.

    Raises:
      UserError: a file has another form, the EC numbers of the two files differ, or a class has no
      prompt.
    """
    numbers = read_functions(functions, Gathered())
    prompts = {}
    for row in _rows(path, columns):
        position = row.cells["id"]
        number = (
            numbers[int(position)] if position.isdecimal() and int(position) < len(numbers) else ""
        )
        if not number or row.cells.get("EC_number", number) != number:
            raise UserError(
                f"{path}, line {row.line}: the id {position!r} belongs to no class or to another "
                f"class in {functions}; give files of one data set."
            )
        prompts[number] = _texts(row, columns)
    if missing := [name for name in classes if not prompts.get(name)]:
        raise UserError(
            f"{path} has no prompt for {len(missing)} classes, such as {missing[0]}; add "
            "rows for them."
        )
    return {name: prompts[name] for name in classes}


def _rows(path: Path, columns: Sequence[str]) -> list[Row]:
    return list(table_rows(path, Gathered(), columns=list(dict.fromkeys(("id", "name", *columns)))))


def _texts(row: Row, columns: Sequence[str]) -> list[str]:
    texts = dict.fromkeys(row.cells[column] for column in columns)
    return [text for text in texts if text]


def _neutral_entry(folder: NeutralFolder) -> dict | None:
    prompts = folder.table("prompts")
    return {"file": prompts} if prompts else None


PROTST_PROMPTS = Format(
    "protst_prompts",
    read_prompted,
    named_file=("tables",),
    file=("functions",),
    options={"columns": list[str]},
)
PROMPT_TABLE = Format("prompt_table", read_prompt_table, file=("file",), neutral=_neutral_entry)

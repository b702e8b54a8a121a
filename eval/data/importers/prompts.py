"""Class prompts of ProtST's zero-shot protocol, joined to a task's classes by name: their label
order is another one."""

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
    """A task with a set of prompts from each column of each of ProtST's tables: `template`, or
    `template name` of several.

    Args:
      functions: the list of EC numbers that the tables' ids are places in; without it, rows mention
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
    """A task with the prompts of the neutral layout: a table of `class` and `prompt`, a class in
    one row or several.

    Raises:
      UserError: the file is no such table, names another class, or has none for one.
    """
    gathered, prompts = Gathered(), {name: [] for name in task.classes}
    for row in table_rows(file, gathered, columns=[CLASS, PROMPT]):
        if row.cells[CLASS] not in prompts:
            known = ", ".join(task.classes)[:300]
            raise UserError(
                f"{file}, line {row.line}: {row.cells[CLASS]!r} is no class of {task.name}; "
                f"take one of {known}."
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

    The row of a class is the one whose column `name` mentions it (`A protein locating at Cell
    membrane`).

    Args:
      columns: which texts are prompts, of `name` and `description`.

    Raises:
      UserError: the file is no such table, or a class is in none or several of its rows.
    """
    rows = _rows(path, columns)
    prompts = {}
    for name in classes:
        found = [row for row in rows if name.lower() in row.cells["name"].lower()]
        if len(found) != 1:
            raise UserError(
                f"{path} mentions the class {name!r} in {len(found)} rows; it needs one row "
                "a class."
            )
        prompts[name] = _texts(found[0], columns)
    return prompts


def read_reaction_prompts(
    path: Path, functions: Path, classes: Sequence[str], *, columns: Sequence[str] = ("name",)
) -> dict[str, list[str]]:
    """EC number → its prompts.

    Args:
      path: a table whose column `id` is a place in the list of EC numbers.
      functions: that list, `unique_functions.txt`.

    Raises:
      UserError: a file is of another form, the table's own EC numbers are others, or a class has
        no prompt.
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
                f"{path}, line {row.line}: the id {position!r} stands for another class in "
                f"{functions}, or for none."
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
    return [text for text in dict.fromkeys(row.cells[column] for column in columns) if text]


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

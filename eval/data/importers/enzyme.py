"""Builds prompts for enzyme classes from ENZYME (`enzyme.dat`) and its classes (`enzclass.txt`)."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import with_prefix
from data_pipelines.readers.enzyme import Enzyme, read_enzymes
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.rows import lines
from eval.data.base.task import PromptedTask, Task

PROMPT_SETS = {"ENZYME as name": "name", "ENZYME as function": "function"}
"""Sets of prompts, and the protein property in which each puts an enzyme's name."""
_CLASS = re.compile(r"(\d+)\.\s*(-|\d+)\.\s*(-|\d+)\.\s*(-)\s+(\S.*)")
_NUMBER = re.compile(r"\d+\.\d+\.\d+\.n?\d+")


def read_enzyme_prompts(task: Task, *, file: Path, classes: Path | None = None) -> PromptedTask:
    """Adds prompts to a task of EC numbers: the accepted name as protein name and as function.

    A transferred number has the names of its successors, a deleted number the name of its class.

    Args:
      file: `enzyme.dat`.
      classes: `enzclass.txt`, needed for deleted numbers.

    Raises:
      UserError: a file has another form, or lacks a name for a class of the task.
    """
    gathered, enzymes = Gathered(), {enzyme.number: enzyme for enzyme in read_enzymes(file)}
    gathered.source(file, len(enzymes))
    of_class = {}
    if classes is not None:
        of_class = read_enzyme_classes(classes)
        gathered.source(classes, len(of_class))
    names = {number: _names(number, enzymes, of_class) for number in task.classes}
    if missing := [number for number, found in names.items() if not found]:
        raise UserError(
            f"{file} has no name for {len(missing)} classes of {task.name}, such as "
            f"{missing[0]}; use a newer enzyme.dat, "
            "and give `classes`, its enzclass.txt, for deleted numbers."
        )
    prompts = {}
    for label, kind in PROMPT_SETS.items():
        prompts[label] = {number: _prompts(kind, found) for number, found in names.items()}
    withdrawn = [
        number for number in task.classes if number not in enzymes or enzymes[number].withdrawn
    ]
    message = (
        f"{len(withdrawn)} withdrawn EC numbers use the prompts of their successors or of their "
        "class."
    )
    sources = [*task.sources, *gathered.sources]
    return PromptedTask(
        task, prompts, task.rejects, sources, (*task.notes, *([message] if withdrawn else []))
    )


def _prompts(kind: str, names: Sequence[str]) -> list[str]:
    return [with_prefix(kind, f"{name}.") for name in names]


def _names(number: str, enzymes: Mapping[str, Enzyme], of_class: Mapping[str, str]) -> list[str]:
    """The names for an EC number; none if neither the number nor its class is known."""
    enzyme = enzymes.get(number)
    if enzyme and not enzyme.withdrawn:
        return [enzyme.name] if enzyme.name else []
    became = _NUMBER.findall(enzyme.name) if enzyme else []
    # A successor may itself have been withdrawn; if a file's successors form a cycle, it names
    # nothing.
    followed = {other: entry for other, entry in enzymes.items() if other != number}
    found = [name for other in became for name in _names(other, followed, {})]
    parent = of_class.get(f"{number.rpartition('.')[0]}.-")
    return list(dict.fromkeys(found)) or ([parent] if parent else [])


def read_enzyme_classes(path: Path) -> dict[str, str]:
    """Reads EC class (`1.1.-.-`) → name from `enzclass.txt`.

    Raises:
      UserError: the file has no line such as `1. 1. -.-   Acting on the CH-OH group of donors.`
    """
    found = [_CLASS.fullmatch(text.strip()) for _, text in lines(path)]
    if not any(found):
        raise UserError(
            f"{path} is not a table of EC classes: no line begins like '1. 1. -.-'; give "
            "enzclass.txt."
        )
    return {".".join(match.groups()[:4]): match[5].removesuffix(".") for match in found if match}


ENZYME_PROMPTS = Format("enzyme_prompts", read_enzyme_prompts, file=("file", "classes"))

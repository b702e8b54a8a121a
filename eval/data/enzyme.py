"""Names of EC numbers, from ExPASy's ENZYME (`ID`, `DE`, `//`) and its table of classes."""

import re
from pathlib import Path

from data_pipelines.errors import UserError
from data_pipelines.readers.enzyme import read_enzymes
from eval.data.rows import lines

_CLASS = re.compile(r"(\d+)\.\s*(-|\d+)\.\s*(-|\d+)\.\s*(-)\s+(\S.*)")


def read_enzyme_names(path: Path) -> dict[str, str]:
    """EC number → recommended name, without its full stop; of a deleted or transferred entry, what the file says of it.

    Raises:
      UserError: the file has no entry, or an entry has no name.
    """
    names = {}
    for enzyme in read_enzymes(path):
        if not enzyme.name:
            raise UserError(f"{path}, line {enzyme.line}: the entry {enzyme.number} has no DE line; fetch the file again.")
        names[enzyme.number] = enzyme.name
    return names


def read_enzyme_classes(path: Path) -> dict[str, str]:
    """EC class (`1.1.-.-`) → name, from `enzclass.txt`.

    Raises:
      UserError: the file has no line such as `1. 1. -.-   Acting on the CH-OH group of donors.`
    """
    found = [_CLASS.fullmatch(text.strip()) for _, text in lines(path)]
    if not any(found):
        raise UserError(f"{path} is no table of EC classes: it has no line that begins as '1. 1. -.-'.")
    return {".".join(match.groups()[:4]): match[5].removesuffix(".") for match in found if match}

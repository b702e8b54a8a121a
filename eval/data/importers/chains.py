"""PDB chains: how they are written, lists of them, and their sequences."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from eval.data.base.gathered import Gathered
from eval.data.importers.sequences import read_sequences

NO_CHAIN = "it is no PDB chain"
NO_SEQUENCE = "none of the files has its sequence"

_CHAIN = re.compile(r"([0-9][A-Za-z0-9]{3})[-_.:]([A-Za-z0-9]+)(?:[-|].*)?")


class Chain(NamedTuple):
    """A chain that a list names."""

    path: Path
    line: int
    id: str
    """As `chain_id` writes it."""
    identity: float | None = None
    """As in `Sample`."""


def chain_id(text: str) -> str:
    """A PDB chain as DeepFRI writes it, `4PIW-A`, from `4piw_A`, `4piw.A`, `4piw:A` or
    `4piw_A-P27833`; '' if it is none.

    Entries have no case, chains have: `4piw.a` is another one.
    """
    found = _CHAIN.fullmatch(text.strip())
    return f"{found[1].upper()}-{found[2]}" if found else ""


def chains_of(
    path: Path, named: Iterable[tuple[int, str, float | None]], gathered: Gathered
) -> list[Chain]:
    """The chains among (line, name, identity); other names are rejected.

    Raises:
      UserError: the first one is no chain, so that the file is something else.
    """
    chains = []
    for line, text, identity in named:
        if chain := chain_id(text):
            chains.append(Chain(path, line, chain, identity))
        elif chains:
            gathered.reject(path, line, text[:100], NO_CHAIN)
        else:
            raise UserError(
                f"{path} is no list of PDB chains: it begins with {text[:60]!r}, not with "
                "one such as 4PIW-A."
            )
    return chains


def chain_sequences(
    chains: Mapping[str, Sequence[Chain]],
    paths: Sequence[Path],
    gathered: Gathered,
    *,
    benchmark: str,
) -> dict[str, str]:
    """Chain → sequence of the chains of all splits, from anything that `read_sequences` reads.

    Raises:
      UserError: none has one.
    """
    wanted = {chain.id for split in chains.values() for chain in split}
    found = read_sequences(paths, gathered, wanted=wanted, key=chain_id)
    if not found:
        raise UserError(
            f"{benchmark}: none of its chains has a sequence in "
            f"{', '.join(map(str, paths)) or 'any file'}; "
            "give sequences, such as pdb_seqres.txt of the PDB."
        )
    return found

"""Reads lists of PDB chains and their sequences, and normalises chain ids."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from eval.data.base.gathered import Gathered
from eval.data.importers.sequences import read_sequences

NO_CHAIN = "it is not a PDB chain"
NO_SEQUENCE = "none of the files has its sequence"

_CHAIN = re.compile(r"([0-9][A-Za-z0-9]{3})[-_.:]([A-Za-z0-9]+)(?:[-|].*)?")


class Chain(NamedTuple):
    """A chain named in a list."""

    path: Path
    line: int
    id: str
    """As written by `chain_id`."""
    identity: float | None = None
    """As in `Sample`."""


def chain_id(text: str) -> str:
    """Normalises a PDB chain to DeepFRI's form `4PIW-A`; '' for what is not a chain.

    Accepts `4piw_A`, `4piw.A`, `4piw:A` and `4piw_A-P27833`. Entries are case-insensitive, chains
    are not: `4piw.a` is another chain.
    """
    found = _CHAIN.fullmatch(text.strip())
    return f"{found[1].upper()}-{found[2]}" if found else ""


def chains_of(
    path: Path, named: Iterable[tuple[int, str, float | None]], gathered: Gathered
) -> list[Chain]:
    """The chains among (line, name, identity); other names are rejected.

    Raises:
      UserError: the first name is not a chain, so the file is something else.
    """
    chains = []
    for line, text, identity in named:
        if chain := chain_id(text):
            chains.append(Chain(path, line, chain, identity))
        elif chains:
            gathered.reject(path, line, text[:100], NO_CHAIN)
        else:
            raise UserError(
                f"{path} is not a list of PDB chains: it begins with {text[:60]!r}; expected "
                "names such as 4PIW-A."
            )
    return chains


def chain_sequences(
    chains: Mapping[str, Sequence[Chain]],
    paths: Sequence[Path],
    gathered: Gathered,
    *,
    benchmark: str,
) -> dict[str, str]:
    """Chain → sequence for the chains of all splits, from any file that `read_sequences` reads.

    Raises:
      UserError: none of the chains has a sequence.
    """
    wanted = {chain.id for split in chains.values() for chain in split}
    found = read_sequences(paths, gathered, wanted=wanted, key=chain_id)
    if not found:
        raise UserError(
            f"{benchmark}: no chain has a sequence in {', '.join(map(str, paths)) or 'any file'}; "
            "give sequences, such as the PDB's pdb_seqres.txt."
        )
    return found

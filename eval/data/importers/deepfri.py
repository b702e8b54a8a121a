"""Reads DeepFRI's annotation table of PDB chains (EC or GO) and its lists of chains."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.assembly import Labelled, classification
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.rows import lines, listed, table_header, table_rows
from eval.data.base.task import IDENTITY_CUTOFFS, SPLITS, Task
from eval.data.importers.chains import (
    NO_CHAIN,
    NO_SEQUENCE,
    Chain,
    chain_id,
    chain_sequences,
    chains_of,
)

COLUMNS = {
    "ec": "EC-numbers",
    "go_mf": "GO-terms (molecular_function)",
    "go_bp": "GO-terms (biological_process)",
    "go_cc": "GO-terms (cellular_component)",
}
"""The name of each benchmark in the table."""

NO_ANNOTATION = "it has no row in the annotation table"
UNKNOWN_LABEL = "it has a label that the table does not list"
_CUTOFF_COLUMNS = tuple(f"<{round(100 * cutoff)}%" for cutoff in IDENTITY_CUTOFFS)


def read_deepfri(
    files: Mapping[str, Sequence[Path]],
    *,
    benchmark: str,
    annotations: Path,
    sequences: Sequence[Path],
) -> Task:
    """Reads EC or one ontology of GO; classes are in the annotation table's order.

    Chains without a term of the ontology stay, with no class, as in DeepFRI's splits.

    Args:
      files: by split, lists of chains, or tables of chains with `<30%` … `<95%` (1: at most that
      identity to training).
      sequences: any file that `read_sequences` reads with PDB chains as names; the table has no
      sequences.

    Raises:
      UserError: a file has another form, or no chain has a sequence.
    """
    gathered = Gathered()
    chains = {}
    for split, paths in files.items():
        chains[split] = [chain for path in paths for chain in _chains(path, gathered)]
    classes, annotated = _annotations(annotations, gathered, benchmark)
    found = chain_sequences(chains, sequences, gathered, benchmark=benchmark)
    splits, known = {}, set(classes)
    for split, members in chains.items():
        splits[split] = []
        for path, line, chain, identity in members:
            fault = (
                NO_ANNOTATION
                if chain not in annotated
                else NO_SEQUENCE
                if chain not in found
                else ""
            )
            fault = fault or (UNKNOWN_LABEL if not known.issuperset(annotated[chain]) else "")
            if fault:
                gathered.reject(path, line, chain, fault)
            else:
                splits[split].append(Labelled(chain, found[chain], annotated[chain], identity))
    return classification(benchmark, "multilabel", splits, gathered, classes=classes)


def _annotations(
    path: Path, gathered: Gathered, benchmark: str
) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Reads the classes, and chain → its classes.

    Every `###` line but the last is followed by one line of the values it names.
    """
    heads, position, annotated, count, column = {}, None, {}, 0, COLUMNS[benchmark]
    numbered = lines(path)
    for line, text in numbered:
        cells = text.split("\t")
        if text.startswith("### PDB-chain"):
            position = cells.index(column) if column in cells else None
            break
        if not text.startswith("### "):
            raise UserError(
                f"{path}, line {line} is not part of a DeepFRI annotation table: no ### line "
                "comes before it."
            )
        heads[text[4:].strip()] = next(numbered, (0, ""))[1].split("\t")
    if position is None or column not in heads:
        raise UserError(
            f"{path} is not a DeepFRI annotation table with {column}; it has "
            f"{', '.join(heads) or 'no ### lines'}."
        )
    for line, text in numbered:
        count += 1
        cells = text.split("\t")
        if chain := chain_id(cells[0]):
            labels = cells[position] if position < len(cells) else ""
            annotated[chain] = tuple(label.strip() for label in labels.split(",") if label.strip())
        else:
            gathered.reject(path, line, cells[0][:100], NO_CHAIN)
    gathered.source(path, count)
    return heads[column], annotated


def _chains(path: Path, gathered: Gathered) -> list[Chain]:
    """Yields the chains in a list or in a table of cut-offs."""
    if table_header(path)[0] == "PDB-chain":
        rows = table_rows(path, gathered, columns=("PDB-chain", *_CUTOFF_COLUMNS))
        return chains_of(
            path,
            ((row.line, row.cells["PDB-chain"], _identity(row.cells)) for row in rows),
            gathered,
        )
    return chains_of(path, ((line, text, None) for line, text in listed(path, gathered)), gathered)


def _identity(cells: Mapping[str, str]) -> float:
    bounds = zip(IDENTITY_CUTOFFS, _CUTOFF_COLUMNS, strict=True)
    return next((cutoff for cutoff, column in bounds if cells[column] == "1"), 1.0)


DEEPFRI = Format(
    "deepfri", read_deepfri, splits=SPLITS, file=("annotations",), files=("sequences",)
)

"""Reads GO terms by accession, one column per ontology, with sequences from other files."""

from collections.abc import Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.assembly import FEW_OF_ITS_CLASSES, Labelled, classification, frequent
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.rows import listed, table_rows
from eval.data.base.task import Task
from eval.data.importers.sequences import read_sequences

COLUMNS = {
    "go_2014_mf": "molecular_function",
    "go_2014_bp": "biological_process",
    "go_2014_cc": "cellular_component",
}
MIN_PROTEINS = 50
"""The smallest number of proteins per class among DeepFRI's terms."""
NO_SEQUENCE = "none of the files has its sequence"
NO_TERM = "it has no term of this ontology"


def read_go_terms(
    terms: Path,
    *,
    benchmark: str,
    sequences: Sequence[Path],
    names: Path | None = None,
    min_proteins: int = MIN_PROTEINS,
) -> Task:
    """Reads a protein's terms as the file gives them, without ancestors; every protein is `train`.

    Proteins without a term of the ontology are rejected: they have not been annotated, which does
    not mean that they have no function.

    Args:
      terms: a table of `accession` and `COLUMNS`, terms separated by commas.
      sequences: any file that `read_sequences` reads with UniProt accessions.
      names: a table of GO ids and names without a header; class names then include the term's name.
      min_proteins: proteins with a sequence that a term needs to be a class.

    Raises:
      UserError: a file has another form.
    """
    gathered = Gathered()
    annotated = _annotated(terms, COLUMNS[benchmark], gathered)
    found = read_sequences(sequences, gathered, wanted=annotated.keys())
    known = {name: terms_ for name, (_, terms_) in annotated.items() if name in found}
    classes = frequent(known.values(), min_proteins)
    called = _called(classes, names, gathered)
    rows = []
    for name, (line, own) in annotated.items():
        labels = tuple(called[term] for term in own if term in called)
        if name not in found or not labels:
            gathered.reject(terms, line, name, FEW_OF_ITS_CLASSES if name in found else NO_SEQUENCE)
        else:
            rows.append(Labelled(name, found[name], labels))
    return classification(
        benchmark, "multilabel", {"train": rows}, gathered, classes=list(called.values())
    )


def _annotated(
    path: Path, column: str, gathered: Gathered
) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Accession → line and terms, for accessions that have terms."""
    found = {}
    for row in table_rows(path, gathered, columns=("accession", *COLUMNS.values())):
        terms = tuple(term.strip() for term in row.cells[column].split(",") if term.strip())
        if terms:
            found[row.cells["accession"]] = (row.line, terms)
        else:
            gathered.reject(path, row.line, row.cells["accession"], NO_TERM)
    return found


def _called(classes: Sequence[str], path: Path | None, gathered: Gathered) -> dict[str, str]:
    """Term → class name: its id, followed by its name if known."""
    if path is None:
        return {term: term for term in classes}
    named = {}
    for _, text in listed(path, gathered):
        term, _, name = text.partition("\t")
        named[term] = name.strip()
    if classes and not any(named.get(term) for term in classes):
        raise UserError(
            f"{path} names none of the terms; give a table of GO ids and names separated by a tab."
        )
    return {term: f"{term} {named[term]}" if named.get(term) else term for term in classes}


GO_TERMS = Format(
    "go_terms",
    read_go_terms,
    file=("terms", "names"),
    files=("sequences",),
    options={"min_proteins": int},
)

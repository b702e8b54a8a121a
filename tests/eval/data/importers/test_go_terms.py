import pytest

from data_pipelines.common.errors import UserError
from eval.data.base.assembly import FEW_OF_ITS_CLASSES
from eval.data.base.audit import by_reason
from eval.data.importers.go_terms import NO_SEQUENCE, NO_TERM, read_go_terms

TERMS = (
    "accession\tmolecular_function\tbiological_process\tcellular_component\n"
    "P1\tGO:2,GO:1\t\tGO:9\n"
    "P2\tGO:2\tGO:5\t\n"
    "P3\t\tGO:5\t\n"
    "P4\tGO:1\t\t\n"
    "P5\tGO:3\t\t\n"
)
SEQUENCES = ">sp|P1|A_HUMAN\nMKV\n>P2\nMKL\n>P3\nMKA\n>P5\nMKC\n"


def read(file, benchmark="go_2014_mf", **options):
    options = {"sequences": [file(SEQUENCES, "s.fasta")], "min_proteins": 1, **options}
    return read_go_terms(file(TERMS, "terms.tsv"), benchmark=benchmark, **options)


def test_an_ontology_is_a_column_and_everything_is_for_training(file):
    task = read(file)
    assert (task.kind, task.classes) == ("multilabel", ("GO:1", "GO:2", "GO:3"))
    assert list(task.splits) == ["train"]
    found = [(s.name, s.sequence, s.target) for s in task.splits["train"]]
    assert found == [("P1", "MKV", (0, 1)), ("P2", "MKL", (1,)), ("P5", "MKC", (2,))]
    assert by_reason(task.rejects) == {NO_TERM: 1, NO_SEQUENCE: 1}
    assert read(file, "go_2014_bp").classes == ("GO:5",)
    assert [s.name for s in read(file, "go_2014_cc").splits["train"]] == ["P1"]


def test_a_class_needs_proteins_that_have_a_sequence(file):
    """GO:1 has two proteins, one of which is without a sequence."""
    task = read(file, min_proteins=2)
    assert task.classes == ("GO:2",)
    assert [(s.name, s.target) for s in task.splits["train"]] == [("P1", (0,)), ("P2", (0,))]
    assert by_reason(task.rejects) == {NO_TERM: 1, NO_SEQUENCE: 1, FEW_OF_ITS_CLASSES: 1}


def test_classes_are_called_by_their_names_where_there_are_some(file):
    names = file("GO:1\tone thing\nrelation\trelation\nGO:2\tanother, of it\n", "names.tsv")
    assert read(file, names=names).classes == ("GO:1 one thing", "GO:2 another, of it", "GO:3")


def test_a_list_of_names_that_is_something_else_is_reported(file):
    with pytest.raises(UserError, match="names.tsv names none of the terms"):
        read(file, names=file("id,name\n", "names.tsv"))

from eval.data.base.assembly import FEW_OF_ITS_CLASSES
from eval.data.base.audit import by_reason
from eval.data.base.gathered import EMPTY
from eval.data.importers.ec_table import NO_EC_NUMBER, read_ec_table

TRAIN = [
    "P1-A\t4.6.1.12,4.6.1.-\tMKV",
    "P2-B\t4.6.1.-\tMKL",
    "P3-A\t4.6.1.12, 1.1.1.1\tMKA",
    "P4-A\t1.1.1.2\tMKC",
]


def table(file, rows, name):
    return [file("chain\tec_numbers\tsequence\n" + "".join(f"{row}\n" for row in rows), name)]


def test_classes_are_those_with_enough_training_chains(file):
    valid = ["P5-A\t1.1.1.1,4.6.1.-\tMKW", "P6-A\t1.1.1.1\tMKY"]
    files = {"train": table(file, TRAIN, "train.tsv"), "valid": table(file, valid, "valid.tsv")}
    task = read_ec_table(files, benchmark="ec_swissmodel", min_chains=2)
    assert (task.kind, task.classes) == ("multilabel", ("4.6.1.-", "4.6.1.12"))
    assert [(s.name, s.target) for s in task.splits["train"]] == [
        ("P1-A", (0, 1)),
        ("P2-B", (0,)),
        ("P3-A", (1,)),
    ]
    assert [(s.name, s.target) for s in task.splits["valid"]] == [("P5-A", (0,))]
    assert by_reason(task.rejects) == {FEW_OF_ITS_CLASSES: 2}
    assert {reject.line for reject in task.rejects} == {5, 3}


def test_chains_without_a_number_or_a_sequence_are_rejects(file):
    rows = ["P1-A\t\tMKV", "P2-A\t1.1.1.1\t", "P3-A\t1.1.1.1\tMKV"]
    task = read_ec_table(
        {"train": table(file, rows, "t.tsv")}, benchmark="ec_swissmodel", min_chains=1
    )
    assert [s.name for s in task.splits["train"]] == ["P3-A"]
    assert by_reason(task.rejects) == {NO_EC_NUMBER: 1, EMPTY: 1}


def test_a_number_that_a_chain_has_twice_counts_once(file):
    rows = ["P1-A\t1.1.1.1,1.1.1.1\tMKV", "P2-A\t2.2.2.2\tMKL", "P3-A\t2.2.2.2\tMKA"]
    task = read_ec_table(
        {"train": table(file, rows, "t.tsv")}, benchmark="ec_swissmodel", min_chains=2
    )
    assert task.classes == ("2.2.2.2",)

import json

import pytest

from data_pipelines.common.errors import UserError
from eval.data.base.assembly import NO_NUMBER
from eval.data.base.audit import by_reason
from eval.data.importers.deeploc import MIXED
from eval.data.importers.ses import NO_CLASS, NO_OBJECT, read_ses


def rows(*objects):
    return "".join(f" {json.dumps(row)}\n" for row in objects)


def row(name, label, **more):
    return {"name": name, "aa_seq": "MKV", "foldseek_seq": "DDD", "label": label} | more


def test_the_order_of_classes_is_that_of_the_data(file):
    text = rows(
        row("A", 2, location=["Nucleus", "U"]),
        row("B", 0, location=["Cell.membrane", "M"]),
        row("C", 1, location=["Cytoplasm", "S"]),
        row("D", 2, location=["Cytoplasm", "Nucleus", "U"]),
        row("E", 2, location=["Nucleus", "S"]),
    )
    task = read_ses({"valid": [file(text)]}, benchmark="localisation")
    assert task.classes == ("Cell membrane", "Cytoplasm", "Nucleus")
    assert [(s.name, s.target) for s in task.splits["valid"]] == [
        ("A", 2),
        ("B", 0),
        ("C", 1),
        ("E", 2),
    ]
    assert [(r.line, r.name, r.reason) for r in task.rejects] == [(4, "D", MIXED)]
    mixed = read_ses({"valid": [file(text)]}, benchmark="localisation", mixed="Nucleus")
    assert [(s.name, s.target) for s in mixed.splits["valid"]] == [
        ("A", 2),
        ("B", 0),
        ("C", 1),
        ("D", 2),
        ("E", 2),
    ]


def test_membrane_names_come_from_the_letters(file):
    task = read_ses(
        {"train": [file(rows(row("A", 1, location="M"), row("B", 0, location="S")))]},
        benchmark="membrane",
    )
    assert task.classes == ("soluble", "membrane")
    assert [s.target for s in task.splits["train"]] == [1, 0]


def test_labels_that_contradict_locations_are_refused(file):
    text = rows(row("A", 0, location=["Nucleus", "U"]), row("B", 0, location=["Plastid", "U"]))
    with pytest.raises(
        UserError,
        match="line 2: label 0 is Plastid .*Nucleus",
    ):
        read_ses({"train": [file(text)]}, benchmark="localisation")
    text = rows(row("A", 0, location=["Nucleus", "U"]), row("B", 1, location=["Nucleus", "U"]))
    with pytest.raises(UserError, match="one location has two labels"):
        read_ses({"train": [file(text)]}, benchmark="localisation")


def test_lists_of_labels(file):
    text = rows(
        row("1abc_A-P1", [3, 1]),
        row("2abc_A-P2", []),
        row("3abc_A-P3", [-1]),
        row("4abc_A-P4", [True]),
    )
    task = read_ses({"train": [file(text)]}, benchmark="ec")
    assert (task.kind, task.classes) == ("multilabel", ("0", "1", "2", "3"))
    assert [s.target for s in task.splits["train"]] == [(1, 3), ()]
    assert by_reason(task.rejects) == {NO_CLASS: 2}
    wider = read_ses({"train": [file(text)]}, benchmark="ec", class_count=585)
    assert len(wider.classes) == 585
    narrower = read_ses({"train": [file(text)]}, benchmark="ec", class_count=3)
    assert [s.target for s in narrower.splits["train"]] == [()]


def test_numbers(file):
    text = rows(
        row("A", 53.5), row("B", "high"), row("C", float("nan")), row("D", "high") | {"aa_seq": ""}
    )
    task = read_ses({"train": [file(text)]}, benchmark="thermostability")
    assert (task.kind, task.unit) == ("regression", "°C")
    assert [s.target for s in task.splits["train"]] == [53.5]
    # A row has one reason, however many faults.
    assert by_reason(task.rejects) == {NO_NUMBER: 3}


def test_broken_lines_are_rejected_and_other_files_refused(file):
    text = rows(row("A", 1.0)) + '{"name": \n[1]\n' + rows({"name": 3, "aa_seq": "M", "label": 1})
    task = read_ses({"train": [file(text)]}, benchmark="thermostability")
    assert by_reason(task.rejects) == {NO_OBJECT: 3}
    assert task.sources[0].rows == 4
    for other in ("sequence,target\nMK,1\n", '[{"name": "A"}]\n', '{"seq": "MK", "text": "x"}\n'):
        with pytest.raises(UserError, match="line 1 .*name, aa_seq and label"):
            read_ses({"train": [file(other)]}, benchmark="thermostability")
    with pytest.raises(UserError, match="is empty"):
        read_ses({"train": [file("")]}, benchmark="thermostability")

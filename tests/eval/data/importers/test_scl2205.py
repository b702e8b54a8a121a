import json

import pytest

from data_pipelines.common.errors import UserError
from eval.data.base.audit import by_reason
from eval.data.base.gathered import NO_PROTEIN
from eval.data.importers.scl2205 import UNKNOWN_NUMBER, read_scl2205

LABELS = {"1": "ER", "0": "Cytoplasm", "2": "Cytoplasm;Nucleus"}


def read(file, rows, labels=LABELS):
    text = "entry,seq,scl\n" + "".join(f"{row}\n" for row in rows)
    files = {
        "train": [file(text, "train.csv")],
        "valid": [file("entry,seq,scl\nV1,MKV,1\n", "valid.csv")],
    }
    return read_scl2205(
        files, benchmark="localisation_scl2205", labels=file(json.dumps(labels), "labels.json")
    )


def test_numbers_are_places_in_the_list_of_names(file):
    task = read(file, ["P1,MKV,2", "P2,MKL,0"])
    assert (task.kind, task.classes) == ("multiclass", ("Cytoplasm", "ER", "Cytoplasm;Nucleus"))
    assert [(s.name, s.sequence, s.target) for s in task.splits["train"]] == [
        ("P1", "MKV", 2),
        ("P2", "MKL", 0),
    ]
    assert [s.target for s in task.splits["valid"]] == [1]
    assert sorted((source.path.rpartition("/")[2], source.rows) for source in task.sources) == [
        ("labels.json", 3),
        ("train.csv", 2),
        ("valid.csv", 1),
    ]


def test_what_cannot_be_used_is_a_reject(file):
    task = read(file, ["P1,MKV,3", "P2,MK1,0", "P3,MKV,", "P4,MKV,0"])
    assert [s.name for s in task.splits["train"]] == ["P4"]
    assert by_reason(task.rejects) == {UNKNOWN_NUMBER: 2, NO_PROTEIN: 1}


@pytest.mark.parametrize(
    "labels", [{}, {"1": "ER"}, {"0": "ER", "2": "Nucleus"}, {"0": 3}, {"0": "ER", "00": "Nucleus"}]
)
def test_labels_are_numbered_from_0(file, labels):
    with pytest.raises(UserError, match="does not number its labels from 0"):
        read(file, ["P1,MKV,0"], labels)

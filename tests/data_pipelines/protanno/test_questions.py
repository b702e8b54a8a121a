"""Questions about single properties: what records say, and what a dataset keeps."""

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.questions import (
    FILE,
    Answer,
    answers,
    compartments,
    load_questions,
    said_by,
    save_questions,
)
from data_pipelines.protanno.record import Record


def record(accession, **texts):
    return Record(accession, "", "swissprot", "MKV", 1, **({"name": "Thing"} | texts))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Nucleus, nucleolus {ECO:0000269}. Cytoplasm {ECO:1}; Peripheral membrane "
            "protein. Note=In Golgi.",
            "Nucleus Cytoplasm",
        ),
        ("[Isoform 2]: Secreted {ECO:0000305}.", "Secreted"),
        ("Cell membrane", "Cell_membrane"),
        ("Moves to the edge of the cell whenever it is fed.", ""),
        ("", ""),
    ],
)
def test_compartments(text, expected):
    assert compartments(text) == {name.replace("_", " ") for name in expected.split()}


def test_families():
    text = (
        "In the C-terminal section; belongs to the altair superfamily. Belongs to the class-I "
        "(A) kinase family. X."
    )
    assert answers(record("P1", similarity=text)) == {
        Answer("family", "SIMILARITY: Belongs to the altair superfamily."),
        Answer("family", "SIMILARITY: Belongs to the class-I (A) kinase family."),
    }
    assert answers(record("P1", similarity="Contains 1 altair domain.")) == set()


def test_what_records_say_is_asked_of_each_kind():
    records = [
        record("P1", name="Kinase (KIN) (EC 2.7.1.1)", location="Nucleus."),
        record("P2", name="Kinase B", other_names=("EC 2.7.1.1", "EC 3.1.-.-")),
        record("P3", name="Kinase", other_names=("EC 2.7.1.1",), location="Nucleus. Cytoplasm."),
        record("P4"),
    ]
    assert said_by(records) == {
        "location": {
            "SUBCELLULAR LOCATION: Nucleus.": {"P1", "P3"},
            "SUBCELLULAR LOCATION: Cytoplasm.": {"P3"},
        },
        "enzyme": {"PROTEIN NAME: Kinase.": {"P1", "P2", "P3"}},
    }


def test_a_dataset_keeps_them(tmp_path):
    questions = {"ligand": {"FUNCTION: Binds zinc (β).": frozenset({"P2", "P1"})}}
    assert load_questions(tmp_path) == {}
    save_questions(tmp_path, questions)
    assert load_questions(tmp_path) == questions
    for damaged in ('{"ligand": []}', '{"ligand": {"x": 1}}', "[]", "{"):
        (tmp_path / FILE).write_text(damaged)
        with pytest.raises(UserError, match=r"questions\.json"):
            load_questions(tmp_path)

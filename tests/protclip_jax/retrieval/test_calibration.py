"""Tables as files, and what they say of hits."""

import json

import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.retrieval.answer import Answer, Hit, is_confident, verdict
from protclip_jax.retrieval.calibration import (
    Calibration,
    Confidence,
    Table,
    read_calibration,
    to_text,
    trait_of_id,
    traits_of_label,
    traits_of_text,
)
from protclip_jax.retrieval.scores import NOT_MEASURED, UNCALIBRATED

TABLE = Table(
    "text", "family", (1.0, 2.0), (0.5, 1.5), (0.1, 0.4, 0.9), (0.05, 0.3, 0.8), (40, 30, 20), 0.02
)


def test_a_hit_gets_the_share_of_its_bin():
    assert TABLE.confidence(0.2, 0.1) == ("family", 0.1, 0.05, 0.02, 40)
    assert TABLE.confidence(0.25, 0.125).share == 0.4
    assert TABLE.confidence(0.9, 0.8).share == 0.9


def test_a_file_is_read_as_it_was_written(tmp_path):
    calibration = Calibration("abc", (TABLE, TABLE._replace(question="label")))
    (tmp_path / "c.json").write_text(to_text(calibration, {"provenance": {"split": "test"}}))
    assert read_calibration(tmp_path / "c.json") == calibration
    assert read_calibration(tmp_path / "absent.json") is None
    assert calibration.of("text", ("location", "family")) == [TABLE]
    assert calibration.of("sequence", ("family",)) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 2}, "has calibration format 2; expected 1"),
        ({"tables": 1}, "is damaged"),
        ({"checkpoint": None}, "is damaged"),
        ({"tables": [TABLE._asdict() | {"shares": [0.1]}]}, "is damaged"),
        ({"tables": [TABLE._asdict() | {"shares": [0.1, 0.2, 7.0]}]}, "is damaged"),
        ({"tables": [TABLE._asdict() | {"edges": ["a", 1]}]}, "is damaged"),
        ({"tables": [TABLE._asdict() | {"more": 1}]}, "is damaged"),
        ({"tables": [TABLE._asdict() | {"trait": "weight"}]}, "is damaged"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, changes, message):
    (tmp_path / "c.json").write_text(json.dumps(Calibration("abc", (TABLE,)).as_json() | changes))
    with pytest.raises(UserError, match=message):
        read_calibration(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("text", "traits"),
    [
        ("SIMILARITY: x", ("family",)),
        ("SUBCELLULAR LOCATION: x", ("location",)),
        ("FUNCTION: x", ("function",)),
        ("PROTEIN NAME: x", ("function", "ec", "go")),
        ("x", ("function", "ec", "go")),
    ],
)
def test_a_text_asks_for_the_traits_of_its_property(text, traits):
    assert traits_of_text(text) == traits


def test_a_label_has_the_traits_that_labels_were_measured_for():
    texts = ("SIMILARITY: x", "SUBCELLULAR LOCATION: x", "FUNCTION: x", "PROTEIN NAME: x", "x")
    assert [traits_of_label("L1", text) for text in texts] == [
        ("family",),
        ("location",),
        ("function",),
        (),
        (),
    ]


def hit(**known):
    return Hit(1, 0, "a", "b", "x", 9, cosine=0.5, margin=0.2, **known)


def test_an_answer_says_whether_it_is_confident():
    sure = Answer([hit(confidences=(TABLE.confidence(0.9, 0.8),))])
    assert (is_confident(sure, 0.9), is_confident(sure, 0.95)) == (True, False)
    assert "90% agreed with their query in family (at least 80%" in verdict(sure, 0.5)
    assert verdict(sure, 0.95).startswith("No confident answer: ")
    of_few = Answer([hit(confidences=(Confidence("ec", 0.9, 0.8, 0.00012, 40),))])
    assert "in EC number (at least 80%; 40 queries; 0.012% of random" in verdict(of_few, 0.5)
    assert "0.02" not in verdict(sure, 0.5)
    assert "; 2% of random items agree)" in verdict(sure, 0.5)
    shuffled = Answer([hit(q_value=0.2)])
    assert is_confident(shuffled, 0.8) is None
    assert verdict(shuffled, 0.9).startswith("The best hit has q = 0.2")
    assert (is_confident(Answer([hit()]), 0.5), verdict(Answer([hit()]), 0.5)) == (
        None,
        UNCALIBRATED,
    )
    calibrated = Answer([hit()], is_calibrated=True)
    assert (is_confident(calibrated, 0.5), verdict(calibrated, 0.5)) == (None, NOT_MEASURED)
    assert (is_confident(Answer([]), 0.5), verdict(Answer([]), 0.5)) == (None, "")


@pytest.mark.parametrize(
    ("id", "trait"),
    [
        ("GO:0003824", "go"),
        ("EC 3.4.21.4", "ec"),
        ("EC:1.1.1.-", "ec"),
        ("2.7.11.1", "ec"),
        ("1.1.1.n5", "ec"),
        ("3.4.21", None),
        ("10.1.1.1", None),
        ("GO:38", None),
        ("kinase", None),
    ],
)
def test_ids_tell_what_records_state(id, trait):
    assert trait_of_id(id) == trait
    expected = ((trait,) if trait else ()) + ("function",)
    assert traits_of_label(id, "FUNCTION: abc.") == expected
    assert traits_of_label(id, "PROTEIN NAME: abc.") == expected[:-1]

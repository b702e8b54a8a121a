"""Confidences of labels whose ids records state: which agree, and what tables come of it."""

import types

import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import Record
from eval.calibration import calibrate
from eval.calibration.label_libraries import above, read_libraries
from eval.calibration.questions import HITS, Queries, nearest
from tests.eval.calibration.test_calibrate import direction, noise, unit

ROOT_TERM, MIDDLE = "GO:0000100", "GO:0000050"
TERMS = [f"GO:{number:07}" for number in range(1, 31)]
NUMBERS = [f"3.4.{group}.{last}" for group in range(1, 11) for last in (1, 2, 3)]


@pytest.fixture
def files(tmp_path):
    """Thirty terms below two others, and thirty enzymes in ten classes."""
    stanzas = [f"[Term]\nid: {ROOT_TERM}\nname: root\nnamespace: molecular_function\n"]
    stanzas += [f"[Term]\nid: {MIDDLE}\nname: middle\nis_a: {ROOT_TERM} ! root\n"]
    stanzas += [
        f"[Term]\nid: {term}\nname: term {term}\nis_a: {MIDDLE} {{x=1}} ! middle\n"
        for term in TERMS
    ]
    (tmp_path / "go.obo").write_text("\n".join(stanzas))
    entries = [f"ID   {number}\nDE   Enzyme {number}.\n//\n" for number in NUMBERS]
    (tmp_path / "enzyme.dat").write_text("".join(entries))
    return [tmp_path / "go.obo", tmp_path / "enzyme.dat"]


class KnowsTerms:
    """Embeds proteins and labels by the term or number that they are of, with noise."""

    fingerprint = "abc"

    def __init__(self, records=()):
        self.of = {one.sequence: [*one.go, *one.other_names][0] for one in records}

    def encode_proteins(self, sequences):
        return unit([direction(self.of[one].removeprefix("EC ")) + noise(one) for one in sequences])

    def encode_texts(self, texts):
        words = [text.removesuffix(".").split()[-1] for text in texts]
        return unit(
            [direction(word) + noise(text) for word, text in zip(words, texts, strict=True)]
        )


def records(first, count):
    made = []
    for row in range(first, first + count):
        said = (
            {"go": (TERMS[row % 30],)} if row % 2 else {"other_names": (f"EC {NUMBERS[row % 30]}",)}
        )
        made.append(Record(f"P{row}", "", "unknown", f"MK{row}", 0, "", **said))
    return made


def test_terms_stand_for_all_that_they_are_kinds_of(files):
    ec, go = read_libraries(KnowsTerms(), files)
    assert (go.trait.name, len(go.labels.records)) == ("go", 32)
    assert (ec.trait.name, len(ec.labels.records)) == ("ec", 30)
    record = Record("P", "", "unknown", "MKV", 0, "", go=(TERMS[3],), other_names=("EC 3.4.2.9",))
    assert go.stated(record).go == (TERMS[3], MIDDLE, ROOT_TERM)
    agreeing = {}
    for library in (go, ec):
        queries = Queries(np.ones((1, 16)), [library.stated(record)], np.zeros(1, np.int64))
        labels = library.labels._replace(vectors=np.eye(len(library.labels.records), 16))
        hits = nearest(queries, labels, library.trait)
        agreeing[library.trait.name] = round(hits.base_rate * len(library.labels.records))
        assert len(hits.cosines) == HITS
    assert agreeing == {"go": 3, "ec": 3}


def test_a_term_may_be_a_kind_of_several_and_of_itself_through_others():
    parents = {"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ("a",)}
    assert set(above(["a", "x"], parents)) == {"a", "b", "c", "d", "x"}


def test_labels_get_tables_that_are_sure_where_the_model_knows(files):
    asked = records(0, 240)
    model = KnowsTerms([*asked, *records(240, 30)])
    checked, _ = calibrate.check_tables(
        model,
        types.SimpleNamespace(splits=Splits(records(240, 30)), nearest=dict),
        asked[:120],
        asked[120:],
        names="recommended",
        libraries=read_libraries(model, files),
    )
    tables = {(one.table.question, one.table.trait): one for one in checked}
    for trait in ("go", "ec"):
        found = tables["label", trait]
        assert found.table.shares[-1] > 0.7 > found.table.base_rate * 5
        assert found.whole.brier < found.whole.constant
        assert found.whole.questions == 60


class Splits(dict):
    """One training split."""

    def __init__(self, made):
        super().__init__({"unknown_c0_r1": TrainingSplit(made)})


class TrainingSplit(list):
    def without_features(self):
        return self


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "id\tname\na\tFUNCTION: b.\nGO:0000001\tFUNCTION: c.\n",
            "most ids of its labels are neither",
        ),
        (
            "id\tname\nGO:0000001\tFUNCTION: c.\n",
            "there are 1 labels of go, and a confidence takes 20",
        ),
    ],
)
def test_a_library_that_says_nothing_or_too_little_is_refused(tmp_path, content, message):
    (tmp_path / "x.tsv").write_text(content)
    with pytest.raises(UserError, match=message):
        read_libraries(KnowsTerms(), [tmp_path / "x.tsv"])

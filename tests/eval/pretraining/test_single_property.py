"""Questions about one property: average precision by its formula, beside prevalence and chance."""

import itertools

import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from eval.pretraining.single_property import SingleProperty, chance, first_ten, kinds_of
from tests.support.fakes import Ignorant

QUESTIONS = {
    "letter": {"FUNCTION: Has an A.": frozenset("abc"), "FUNCTION: Has a B.": frozenset("cdef")},
    "rare": {"FUNCTION: Is rare.": frozenset("ab")},
    "common": {
        "FUNCTION: Is common.": frozenset("abcdefg"),
        "FUNCTION: Is there.": frozenset("abc"),
    },
}


def test_questions_that_too_few_or_too_many_answer_are_left_out():
    kinds = kinds_of(QUESTIONS, list("zabcdefghij"))
    assert set(kinds) == {"letter", "common"}
    # Of z, and of those after g, nothing is known.
    assert kinds["letter"].known.tolist() == [1, 2, 3, 4, 5, 6]
    assert kinds["letter"].texts == ["FUNCTION: Has an A."]
    assert kinds["letter"].answered.tolist() == [[True] * 3 + [False] * 3]
    assert kinds["common"].texts == ["FUNCTION: Is there."]


def test_of_the_first_ten_those_that_answer_count():
    scores = np.stack([np.arange(25.0), -np.arange(25.0)])
    answered = np.zeros((2, 25), bool)
    answered[0, [24, 20, 14]] = True
    answered[1, [0, 1, 2, 9, 10]] = True
    # By hand: places 15 to 24 and 0 to 9 are the first ten.
    assert first_ten(scores, answered) == pytest.approx((2 + 4) / 20)
    assert first_ten(scores[:, :4], answered[:, :4]) == pytest.approx(3 / 8)


def precision_of_order(answered):
    """Average precision of a ranking, from the definition."""
    places = [place for place, yes in enumerate(answered, 1) if yes]
    return np.mean([found / place for found, place in enumerate(places, 1)])


@pytest.mark.parametrize("row", [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0, 0, 0]])
def test_chance_is_the_mean_over_all_orders(row):
    orders = set(itertools.permutations(row))
    expected = np.mean([precision_of_order(order) for order in orders])
    assert chance(np.array([row], bool))[0] == pytest.approx(expected)


class Planted(Ignorant):
    """Puts a protein nearer to a question the more its rank says, so that average precision is
    known."""

    def encode_texts(self, texts):
        return np.tile(np.array([[1.0, 0.0]], np.float32), (len(texts), 1))

    def encode_proteins(self, sequences):
        angle = np.linspace(0, 1, len(sequences))
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def asked(dataset):
    """The dataset with questions that some of its first proteins in the pool's order answer."""
    evaluation = SingleProperty(dataset, split="test", pool=20)
    by_sequence = {record.sequence: record.accession for record in dataset.splits["test"]}
    accessions = [by_sequence[sequence] for sequence in evaluation._sequences]
    first, second = frozenset(accessions[:4]), frozenset(accessions[1:20:4])
    rest = frozenset(accessions) - first - second
    return dataset._replace(questions={"own": {"Q1": first, "Q2": second, "Q3": rest}}), accessions


def test_average_precision_of_a_known_order(asked):
    dataset, accessions = asked
    evaluation = SingleProperty(dataset, split="test", pool=20)
    result = evaluation.report(Planted(dataset), control=None)
    second = [accession in dataset.questions["own"]["Q2"] for accession in accessions]
    expected = (1.0 + precision_of_order(second)) / 2
    assert (
        result["map"]
        == result["map_own"]
        == result["kinds"]["own"]["map"]
        == pytest.approx(expected)
    )
    assert result["kinds"]["own"]["questions"] == 2
    assert result["kinds"]["own"]["prevalence"] == pytest.approx((4 + sum(second)) / 40)
    assert evaluation.metrics(Planted(dataset)) == {"map_own": result["map"], "map": result["map"]}


def test_a_model_that_knows_nothing_has_the_prevalence(asked):
    dataset, _ = asked
    result = SingleProperty(dataset, split="test", pool=20).report(Ignorant(dataset), control=None)
    own = result["kinds"]["own"]
    assert own["map"] == pytest.approx(own["prevalence"])
    assert own["chance"] > own["prevalence"]
    page = SingleProperty.markdown(result)
    assert "| own | 2 | 20 |" in page
    assert "not trained" in page


def test_without_questions_records_are_asked_for_what_they_say(dataset):
    evaluation = SingleProperty(dataset, split="test", pool=60)
    result = evaluation.report(Ignorant(dataset), control=None)
    assert set(result["kinds"]) <= {"location", "family", "enzyme"}
    assert "that records name" in result["source"]


def test_a_split_that_answers_nothing_is_one_sentence(dataset):
    silent = dataset._replace(questions={"own": {"Q": frozenset({"nobody"})}})
    with pytest.raises(UserError, match="no question about a single property"):
        SingleProperty(silent, split="test", pool=20)

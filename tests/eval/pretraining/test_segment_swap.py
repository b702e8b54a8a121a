"""The swap test: 1 for a model that reads the text, exactly 0 for one that does not, however
well it knows the places."""

import numpy as np
import pytest

from data_pipelines.protanno.record import Feature, Record
from eval.pretraining.segment_swap import SegmentSwap, find_swaps, swap_score
from tests.support.fakes import FakeModel, Ignorant


class Reader(FakeModel):
    """Weighs the residues of the place that the text names."""

    def segments_batch(self, sequences, texts):
        weights = []
        for sequence, asked in zip(sequences, texts, strict=True):
            ((name, text),) = asked.items()
            swap = next(
                swap for swap in find_swaps(self.by_sequence[sequence]) if swap.property == name
            )
            weights.append(swap.places[swap.texts.index(text)][None].astype(float))
        return weights


class Tagger(FakeModel):
    """Knows both places perfectly and reads nothing."""

    def segments_batch(self, sequences, texts):
        weights = []
        for sequence, asked in zip(sequences, texts, strict=True):
            (name,) = asked
            swap = next(
                swap for swap in find_swaps(self.by_sequence[sequence]) if swap.property == name
            )
            noise = np.random.default_rng(len(sequence)).random(len(sequence))
            weights.append((3.0 * (swap.places[0] | swap.places[1]) + noise)[None])
        return weights


@pytest.fixture(scope="module")
def evaluation(dataset):
    return SegmentSwap(dataset, split="test", pool=60)


def test_a_model_that_reads_has_one_and_a_tagger_exactly_zero(evaluation, dataset):
    read = evaluation.report(Reader(dataset), control=None)
    assert sum(read["proteins"].values()) >= 10
    assert read["score"] == 1.0
    assert "**the weights move to the place that the text names**" in evaluation.markdown(read)
    tagged = evaluation.report(Tagger(dataset), control=None)
    assert tagged["score"] == pytest.approx(0, abs=1e-12)
    page = evaluation.markdown(tagged)
    assert "**not shown to read the text**" in page


def test_metrics_are_means_by_property(evaluation, dataset):
    metrics = evaluation.metrics(Ignorant(dataset))
    assert set(metrics) == {"score", "score_function", "score_location", "score_similarity"}
    assert abs(metrics["score"]) < 0.5


def test_the_score_is_its_formula():
    places = np.array([1, 1, 0, 0, 0], bool), np.array([0, 0, 0, 1, 1], bool)
    first, second = np.array([3.0, 1, 9, 2, 0]), np.array([0.0, 1, 9, 1, 2])
    # Of the four pairs of residues the first text orders three right, the second three and a tie.
    assert swap_score((first, second), places) == pytest.approx(3 / 4 + 3.5 / 4 - 1)
    assert swap_score((second, first), places) == pytest.approx((1 - 3.5 / 4) + (1 - 3 / 4) - 1)
    assert swap_score((first, first), places) == 0


def test_places_of_a_real_kind_of_record():
    features = (
        Feature("SIGNAL", 1, 3),
        Feature("TRANSMEM", 20, 24, "Helical"),
        Feature("BINDING", 5, 5, "Zn(2+) 1; catalytic"),
        Feature("BINDING", 7, 7, "Zn(2+) 1"),
        Feature("BINDING", 7, 9, "ATP"),
        Feature("BINDING", 11, 11, "heme"),
        Feature("DOMAIN", 2, 12, "SH3"),
    )
    record = Record("P1", "", "swissprot", "M" * 30, 1, "Thing", features=features)
    function, location = find_swaps(record)
    assert function.texts == ("FUNCTION: Binds ATP.", "FUNCTION: Binds Zn(2+) 1.")
    # Residue 7 belongs to both and to neither place.
    assert [place.nonzero()[0].tolist() for place in function.places] == [[7, 8], [4]]
    assert location.texts == (
        "SUBCELLULAR LOCATION: Cell membrane; Single-pass membrane protein.",
        "SUBCELLULAR LOCATION: Secreted.",
    )


def test_a_split_without_such_proteins_is_undefined_and_said_so(dataset):
    evaluation = SegmentSwap(dataset, split="test", pool=60)
    evaluation.swaps = []
    result = evaluation.report(Reader(dataset), control=None)
    assert np.isnan(result["score"])
    assert evaluation.markdown(result).count("not measured") == 3

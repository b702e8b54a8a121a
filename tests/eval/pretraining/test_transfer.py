"""Annotation transfer beside a model: what is chosen on validation, and that it always answers."""

import numpy as np
import pytest

from eval.pretraining.retrieval import Retrieval
from eval.pretraining.single_property import SingleProperty
from eval.pretraining.trained_baselines import TrainedBaselines
from eval.pretraining.transfer_retrieval import (
    ReferenceWords,
    by_tower,
    mean_reciprocal_ranks,
    standardised,
)
from protclip_jax.config.schema import completed
from tests.support.fakes import Ignorant, Oracle


@pytest.fixture(scope="module")
def hits(dataset, tmp_path_factory):
    """A file in which each held-out record hits two training records, but for one that hits
    none."""
    path = tmp_path_factory.mktemp("hits") / "hits.m8"
    training = [
        record.accession
        for name in ("swissprot_c1_r4", "trembl_c3_r3")
        for record in dataset.splits[name]
    ]
    lines, rng = [], np.random.default_rng(0)
    for name in ("validation", "test"):
        for record in list(dataset.splits[name])[1:]:
            for bits, target in zip((90, 60), rng.choice(training, 2, replace=False), strict=True):
                lines.append(f"{record.accession}\t{target}\t0.4\t0.9\t0.9\t1e-9\t{bits}\n")
    path.write_text("".join(lines))
    return path


def test_words_and_tower_rank_the_lent_text_first(dataset):
    lent = ["kinase of widgets", "", "a transporter"]
    candidates = ["transporter of ions", "the widgets kinase", "something else"]
    references = ["kinase kinase", "transporter", "else widgets"]
    scores = ReferenceWords(references).compare(lent, candidates)
    assert scores.argmax(1).tolist()[0] == 1
    assert scores[2].argmax() == 0
    # Where nothing is lent the mean of the references decides, whatever else is asked.
    rarity = np.log((1 + 3) / (1 + 1)) + 1
    new = np.log(1 + 3) + 1
    # Mean of unit rows: (kinase, transporter, else and widgets at 1/√2 each) over 3, against
    # "transporter of ions".
    assert scores[1, 0] == pytest.approx(rarity / np.sqrt(rarity**2 + 2 * new**2) / 3)
    assert (scores[1] > 0).all()
    model = Oracle(dataset)
    scores = by_tower(model, references, [*lent, candidates[0]], candidates)
    assert scores.shape == (4, 3)
    assert scores[3, 0] == pytest.approx(1, abs=1e-5)
    mean = model.encode_texts(references).mean(0)
    np.testing.assert_allclose(scores[1], mean @ model.encode_texts(candidates).T, rtol=1e-5)


def test_transfers_stand_beside_the_model_and_are_chosen_on_validation(dataset, hits):
    baselines = TrainedBaselines(dataset, completed({}), {"mmseqs2": hits})
    evaluation = Retrieval(dataset, split="test", pool=40)
    result = evaluation.report(Oracle(dataset), control=None, baselines=baselines)
    found = result["transfers"]
    assert list(found) == [
        "mmseqs2",
        "3-mers",
        "composition, length and organism",
        "label prior",
        "homology and model",
    ]
    # The perfect model wins on validation, so that homology gets no weight.
    assert found["homology and model"]["chosen"].endswith("model's share 1.0")
    assert found["homology and model"]["mrr"] == 1
    assert result["chance"]["mrr"] < found["3-mers"]["mrr"] < 1
    # What is alike for all proteins tells nothing of them.
    assert found["label prior"]["t2p_mrr"] == pytest.approx(result["chance"]["mrr"])
    page = evaluation.markdown(result)
    assert page.count("| protein → text, mmseqs2 |") == 1
    assert "chosen on validation" in page

    result = evaluation.report(Ignorant(dataset), control=None, baselines=baselines)
    # A model that knows nothing adds nothing: any share but the whole gives the ranks of homology.
    assert result["transfers"]["homology and model"]["mrr"] == pytest.approx(
        max(result["transfers"][name]["mrr"] for name in ("3-mers", "mmseqs2")), abs=0.05
    )


def test_questions_are_answered_by_neighbours(dataset, hits):
    baselines = TrainedBaselines(dataset, completed({}), {"mmseqs2": hits})
    evaluation = SingleProperty(dataset, split="test", pool=60)
    result = evaluation.report(Oracle(dataset), control=None, baselines=baselines)
    assert list(result["transfers"]) == [
        "mmseqs2",
        "3-mers",
        "composition, length and organism",
        "homology and model",
    ]
    for name, kind in result["kinds"].items():
        assert set(kind["transfers"]) == set(result["transfers"])
        assert sum(part["questions"] for part in kind["seen"].values()) == kind["questions"]
        assert 0 < kind["transfers"]["3-mers"]["map"] <= 1, name
    page = evaluation.markdown(result)
    assert "Annotation transfer" in page
    assert "seen in training" in page


def test_without_validation_there_is_no_transfer(dataset):
    bare = dataset._replace(
        splits=type(dataset.splits)({k: v for k, v in dataset.splits.items() if k != "validation"})
    )
    result = Retrieval(bare, split="test", pool=40).report(
        Oracle(dataset), control=None, baselines=TrainedBaselines(bare, completed({}))
    )
    assert result["transfers"] == {}
    Retrieval.markdown(result)


def test_standardised_scores_and_ranks():
    scores = np.random.default_rng(0).normal(5, 3, (6, 6))
    assert standardised(scores).mean() == pytest.approx(0, abs=1e-12)
    assert standardised(scores).std() == pytest.approx(1)
    assert not standardised(np.full((3, 3), 2.0)).any()
    assert mean_reciprocal_ranks(np.eye(5)).tolist() == [1.0] * 5

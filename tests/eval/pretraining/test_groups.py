import numpy as np
import pytest

from data_pipelines.protanno.clusters import HELD_OUT
from data_pipelines.protanno.nearest import FILE, Nearest, load_nearest, write_nearest
from data_pipelines.protanno.questions import Answer
from data_pipelines.protanno.record import Record
from eval.pretraining.groups import by_nearness, group_table, measured
from eval.pretraining.retrieval import Retrieval
from eval.pretraining.single_property import SingleProperty
from eval.pretraining.trained_baselines import TrainedBaselines
from eval.pretraining.training_labels import TrainingLabels, by_family, read_training_labels
from protclip_jax.config.schema import completed
from tests.support.fakes import Oracle

FOUND = {
    "A": (Nearest(0.0, 0.0), "no relative found"),
    "B": (Nearest(0.99, 0.49), "no relative found"),
    "C": (Nearest(0.29, 0.5), "below 30%"),
    "D": (Nearest(0.30, 1.0, 0.5, 0.9), "30% to 40%"),
    "E": (Nearest(0.95, 0.8, 0.29, 1.0), "95% or more"),
    "F": (Nearest(0.94, 0.8, 0.6, 0.4), "70% to 95%"),
    "G": (Nearest(), "not looked up"),
}


@pytest.fixture
def kept(dataset, tmp_path):
    """A function that gives the dataset with these rows of what is nearest."""

    def keep(rows):
        write_nearest(tmp_path / FILE, rows.items())
        load_nearest.cache_clear()
        return dataset._replace(directory=tmp_path)

    yield keep
    load_nearest.cache_clear()


def test_records_lie_in_the_band_of_their_nearest(kept):
    groups = by_nearness(kept({name: found for name, (found, _) in FOUND.items()}), [*FOUND, "H"])
    of_name = {
        name: group.name
        for group in groups
        for name, yes in zip([*FOUND, "H"], group.members, strict=True)
        if yes
    }
    assert of_name == {name: band for name, (_, band) in FOUND.items()} | {"H": "not looked up"}
    assert [group.name for group in groups][0] == "no relative found"
    assert {
        group.name: group.related_without_text for group in groups if group.related_without_text
    } == {"30% to 40%": 1}


def test_without_identities_minhash_tells_close_relatives(kept):
    rows = {
        "A": Nearest(related=True),
        "B": Nearest(related=False, related_without_text=True),
        "C": Nearest(),
    }
    groups = by_nearness(kept(rows), list(rows))
    assert [
        (group.name, group.members.tolist(), group.related_without_text) for group in groups
    ] == [
        ("no close relative", [False, True, False], 1),
        ("a close relative", [True, False, False], 0),
        ("not looked up", [False, False, True], 0),
    ]


def test_a_dataset_that_kept_nothing_has_no_groups(dataset):
    assert by_nearness(dataset, ["A"]) == []
    assert group_table([], "x") == ""


def test_groups_have_their_own_means(kept):
    groups = by_nearness(
        kept({"A": Nearest(related=True), "B": Nearest(related=False), "C": Nearest(related=True)}),
        "ABC",
    )
    rows = measured(groups, {"own": np.array([1.0, 0.0, 0.5]), "other": np.zeros(3)})
    assert [(row["name"], row["records"], row["models"]["own"]["mean"]) for row in rows] == [
        ("no close relative", 1, 0.0),
        ("a close relative", 2, 0.75),
    ]
    shown = group_table(rows, "nearest")
    assert "| a close relative | 2 | 0 | 0.750" in shown


def record(accession, similarity):
    return Record(accession, "", "unknown", "MKV", 0, "N", similarity=similarity)


def test_families_that_training_names_are_told_apart():
    labels = TrainingLabels(
        frozenset(), frozenset([Answer("family", "SIMILARITY: Belongs to the kinase family.")])
    )
    records = [
        record("A", "Belongs to the kinase family."),
        record("B", "Belongs to the other family."),
        record("C", ""),
    ]
    groups = by_family(records, labels)
    assert [(group.name, group.members.tolist()) for group in groups] == [
        ("family named in training", [True, False, False]),
        ("family not named in training", [False, True, False]),
        ("no family named", [False, False, True]),
    ]


def test_labels_are_those_of_training_records_alone(dataset):
    labels = read_training_labels(dataset)
    training = {
        r.accession for name, split in dataset.splits.items() if name not in HELD_OUT for r in split
    }
    assert labels.accessions == training
    assert labels.answers


def test_evaluations_report_both(kept):
    evaluation = Retrieval(kept({}), split="test", pool=40)
    rows = {
        name: Nearest(0.1 + 0.02 * place, 0.9) for place, name in enumerate(evaluation.accessions)
    }
    shown = kept(rows)
    result = Retrieval(shown, split="test", pool=40).report(
        Oracle(shown), control=None, baselines=TrainedBaselines(shown, completed({}))
    )
    assert sum(row["records"] for row in result["by_nearness"]) == 40
    named, *others = [row["records"] for row in result["by_family"]]
    assert named == sum(others) == 40
    assert all(row["models"]["ProtCLIP"]["mean"] == 1 for row in result["by_nearness"])
    means = [row["records"] * row["models"]["3-mers"]["mean"] for row in result["by_nearness"]]
    assert sum(means) / 40 == pytest.approx(result["transfers"]["3-mers"]["mrr"])
    page = Retrieval.markdown(result)
    assert "| 30% to 40% |" in page
    assert "family named in training" in page

    asked = SingleProperty(shown, split="test", pool=60)
    result = asked.report(Oracle(shown), control=None)
    kinds = {row["kind"] for row in result["by_nearness"]}
    assert kinds <= set(asked.kinds)
    assert all(row["questions"] > 0 for row in result["by_nearness"])
    SingleProperty.markdown(result)

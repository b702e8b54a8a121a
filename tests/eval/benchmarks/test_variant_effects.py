"""The zero-shot family: correlations, ProteinGym's averaging, intervals, and the worth of a
text."""

import types

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from data_pipelines.inputs.substitutions import differences
from eval.benchmarks import variant_effects
from eval.benchmarks.base.family import Setup
from eval.benchmarks.variant_effects import (
    BOTH,
    SCORE,
    TEXT,
    VariantEffects,
    protein_means,
    proteingym_average,
    resampled_average,
)
from eval.data import manifest
from eval.data.base.task import Assay, MeasuredVariant
from eval.protocols.sequence_features import composition
from tests.support import miniature
from tests.support.composition_model import Composition

WILD_TYPE = "MKTAYIAKQRQISFVKSHFS"


@pytest.fixture(scope="module")
def miniature_folder(tmp_path_factory):
    return miniature.write(tmp_path_factory.mktemp("public"))


def setup(method="masked_singly"):
    model = Composition()
    return Setup(
        embed=composition,
        project=composition,
        texts=model.encode_texts,
        text_means=None,
        variants=model.variant_scores,
        protocol=None,
        splits={},
        controls=(),
        configs={"variant_effects": types.SimpleNamespace(method=method)},
    )


def assay(count=200, *, text="", seed=0):
    rng, variants = np.random.default_rng(seed), []
    for _ in range(count):
        made = list(WILD_TYPE)
        for index in rng.choice(len(made), 2, replace=False):
            made[index] = str(rng.choice(list("ACDEFGHIKLMNPQRSTVWY")))
        variants.append(MeasuredVariant(differences(WILD_TYPE, "".join(made)), float(rng.normal())))
    return Assay("a", WILD_TYPE, variants, text=text)


def test_an_assays_numbers_are_scipys():
    own = assay(text="AAAK")
    measured = variant_effects.measured_assay(own, setup())
    targets = [v.target for v in own.variants]
    changes = [v.changes for v in own.variants]
    (scores,) = setup().variants([WILD_TYPE], [changes], method="")
    made = ["".join(made) for made in _made(own)]
    cosines = (composition(made) - composition([WILD_TYPE])) @ composition(["AAAK"])[0]
    expected = {SCORE: scores, TEXT: cosines, BOTH: rankdata(scores) + rankdata(cosines)}
    for name, column in expected.items():
        value = measured.headline[name]
        assert value["mean"] == pytest.approx(spearmanr(column, targets)[0], abs=1e-6)
        assert value["interval"][0] < value["mean"] < value["interval"][1]
    controls = {control["protocol"]: control["metrics"] for control in measured.result["controls"]}
    assert set(controls) == {"BLOSUM62", "fewest substitutions"}
    assert [note.split(":")[0] for note in measured.result["notes"]] == [
        "spearman minus BLOSUM62",
        "spearman minus fewest substitutions",
        "spearman, score and text minus spearman",
    ]
    assert measured.result["variants"] == 200


def _made(own):
    for variant in own.variants:
        made = list(WILD_TYPE)
        for change in variant.changes:
            made[change.index] = change.residue
        yield made


def test_intervals_of_differences_are_paired():
    """Two columns that agree but for a little noise differ less than either varies."""
    rng = np.random.default_rng(0)
    targets = rng.normal(size=300)
    columns = {"a": targets + rng.normal(size=300), "b": None}
    columns["b"] = columns["a"] + 0.01 * rng.normal(size=300)
    drawn = variant_effects.resampled(columns, targets)
    assert np.std(drawn["a"] - drawn["b"]) < np.std(drawn["a"]) / 10
    assert np.std(drawn["a"]) == pytest.approx(np.std(drawn["b"]), rel=0.1)


def named(*rows):
    """Assays (protein, function) and their values, from rows of protein, function, value."""
    assays = [
        Assay(f"{n}", WILD_TYPE, [], protein=p, function=f) for n, (p, f, _) in enumerate(rows)
    ]
    return assays, [{SCORE: value} for _, _, value in rows]


def test_proteingyms_average_goes_over_assays_proteins_and_types():
    rows = [
        ("P1", "Activity", 0.2),
        ("P1", "Activity", 0.4),
        ("P2", "Activity", 0.9),
        ("P1", "Stability", 0.5),
        ("P3", "Stability", float("nan")),
        ("P4", "Binding", float("nan")),
    ]
    assays, values = named(*rows)
    means = protein_means(assays, values, SCORE)
    assert {name: own.tolist() for name, own in means.items()} == {
        "Activity": [pytest.approx(0.3), 0.9],
        "Stability": [0.5],
    }
    assert proteingym_average(assays, values, SCORE) == pytest.approx(((0.3 + 0.9) / 2 + 0.5) / 2)
    assert np.isnan(proteingym_average(assays, values, "another"))


def test_the_averages_spread_is_that_of_the_means_of_proteins():
    rng = np.random.default_rng(0)
    of_types = {"Activity": rng.normal(size=50), "Binding": 2 * rng.normal(size=30)}
    drawn = resampled_average(of_types)
    variances = [own.var() / len(own) for own in of_types.values()]
    assert drawn.std() == pytest.approx(np.sqrt(sum(variances)) / 2, rel=0.1)
    assert drawn.mean() == pytest.approx(
        np.mean([own.mean() for own in of_types.values()]), abs=0.02
    )
    np.testing.assert_array_equal(resampled_average({"Activity": np.ones(4)}), 1)
    alone = {"Activity": np.ones(4), "Stability": np.ones(1)}
    assert np.isnan(resampled_average(alone)).all()


def test_proteingym_is_measured(miniature_folder):
    data = manifest.load(miniature_folder, "proteingym")
    measured = VariantEffects().measure(setup(), "proteingym", data)
    assert measured.headline[SCORE]["mean"] > 0.9
    assert list(measured.headline) == [
        SCORE,
        TEXT,
        BOTH,
        f"{SCORE}, Activity",
        f"{SCORE}, Stability",
    ]
    assert list(measured.result["assays"]) == ["ONE_HUMAN_0", "ONE_HUMAN_1", "TWO_YEAST_2"]
    controls = {control["protocol"] for control in measured.result["controls"]}
    assert controls == {"BLOSUM62", "fewest substitutions", "site-independent, from the alignment"}
    assert any("spearman minus BLOSUM62" in note for note in measured.result["notes"])
    assert VariantEffects().counts(data) == {"assays": 3, "variants": 180}
    assert VariantEffects().audit(data)["substitutions"] == {"1": 60, "2": 60, "3": 60}


@pytest.mark.parametrize("task", ["beta_lactamase", "fluorescence", "gb1", "aav"])
def test_each_benchmark_is_measured(miniature_folder, task):
    data = manifest.load(miniature_folder, f"variants_{task}")
    measured = VariantEffects().measure(setup(), f"variants_{task}", data)
    # AAV's fitness is of the window alone, and every effect has its noise.
    assert measured.headline[SCORE]["mean"] > 0.9
    learnt = {control["protocol"] for control in measured.result["controls"]}
    assert ("additive, learnt from the training split" in learnt) == (task in ("gb1", "aav"))


def test_the_method_is_the_configs():
    asked = []

    def scored(sequences, variants, *, method):
        asked.append(method)
        return [np.zeros(len(own), np.float32) for own in variants]

    own = setup("wild_type")
    model = Setup(
        **{**{name: getattr(own, name) for name in own.__dataclass_fields__}, "variants": scored}
    )
    measured = variant_effects.measured_assay(assay(20), model)
    assert asked == ["wild_type"]
    assert np.isnan(measured.headline[SCORE]["mean"])

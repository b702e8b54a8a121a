"""What the ablation script makes of finished runs."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ablation

RUNS = {
    # R@1 of each seed, AUROC of the function's weights with the own and with another record's text.
    "paper": {0: (0.20, 0.60, 0.55), 1: (0.24, 0.70, 0.60), 2: (0.22, 0.65, 0.55)},
    "without PDA": {0: (0.10, 0.50, 0.50), 1: (0.16, 0.55, 0.50)},
    "no prototypes": {0: (0.20, 0.50, 0.50)},
}


def measured(recall, own, other):
    values = dict.fromkeys(ablation.METRICS.values(), recall)
    for name in ablation.PROPERTIES:
        values |= {f"pda/auroc_{name}": own, f"pda/auroc_other_record_text_{name}": other}
    return values


@pytest.fixture
def results():
    runs = {}
    for variant, seeds in RUNS.items():
        runs[variant] = {seed: measured(*of_seed) for seed, of_seed in seeds.items()}
    return ablation.compare(runs)


def test_differences_are_paired_by_the_seeds_that_both_have(results):
    paper, without = results["paper"], results["without PDA"]
    assert paper["metrics"]["MRR"]["mean"] == pytest.approx(0.22)
    # 0.22 ± t(0.975, 2 degrees of freedom) · 0.02 / √3.
    np.testing.assert_allclose(
        paper["metrics"]["MRR"]["interval"],
        [0.22 - 4.3027 * 0.011547, 0.22 + 4.3027 * 0.011547],
        rtol=1e-4,
    )
    assert paper["metrics"]["MRR"]["to_paper"] is None
    np.testing.assert_allclose(without["metrics"]["MRR"]["to_paper"]["values"], [-0.10, -0.08])
    np.testing.assert_allclose(
        paper["auroc"]["function"]["to_other_text"]["values"], [0.05, 0.10, 0.10]
    )
    np.testing.assert_allclose(paper["auroc"]["function"]["to_without_pda"]["values"], [0.10, 0.15])


def test_a_variant_without_prototypes_has_a_control_of_its_own(results):
    assert results["no prototypes"]["auroc"]["function"]["to_without_pda"] is None
    shown = ablation.markdown(results)
    assert "| no prototypes | 1 | 0.500, +0.000, –" in shown


def test_every_control_is_a_variant_that_differs_in_training_only():
    for variant, fields in ablation.VARIANTS.items():
        control = ablation.VARIANTS[ablation.without_pda(variant)]
        assert control["loss.pda"] == 0
        assert control.get("pda.prototypes", True) == fields.get("pda.prototypes", True)


def test_only_the_evaluation_after_the_last_step_counts(tmp_path):
    lines = [
        {"step": 0, "eval/retrieval/mrr": 0.1},
        {"step": 300, "loss": 1.0},
        {"step": 300, "eval/retrieval/mrr": None},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert ablation.last_evaluation(tmp_path, 200) == {}
    found = ablation.last_evaluation(tmp_path, 300)
    assert np.isnan(found["retrieval/mrr"])
    assert ablation.last_evaluation(tmp_path / "none", 300) == {}


def test_a_run_is_trained_once_with_the_fields_of_its_variant(tmp_path, monkeypatch):
    lines = []

    def train(argv):
        lines.append(argv)
        workdir = Path(argv[argv.index("--workdir") + 1])
        workdir.mkdir()
        (workdir / "metrics.jsonl").write_text(json.dumps({"step": 5, "eval/retrieval/mrr": 0.2}))
        return 0

    monkeypatch.setattr(ablation.train, "main", train)
    options = argparse.Namespace(
        config="c.py", steps=5, data_dir="data", vocabulary="vocab.txt", folder=tmp_path
    )
    for _ in range(2):
        assert ablation.run_one(options, "late interaction, residues", 1)["retrieval/mrr"] == 0.2
    (line,) = lines
    assert {
        "--config.seed=1",
        "--config.total_steps=5",
        "--config.pda.pooling=residue",
        "--config.pda.prototypes=False",
    } < {*line}

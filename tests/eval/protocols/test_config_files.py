"""The configs of configs/eval: they are as their fields want them, and a change that is not is told before anything runs."""

from pathlib import Path

import pytest

from data_pipelines.common.errors import UserError
from eval.public.config_files import FIELDS, load_configs

CONFIGS = Path("configs/eval")


def test_changes_are_literals_or_texts():
    configs = load_configs(CONFIGS, ["few_shot.shots=(2, 3)", "probe.hidden=7", "cross_modal.reverse_triplets=kept"])
    assert configs.keys() == FIELDS.keys()
    assert configs["few_shot"].shots == (2, 3)
    assert (configs["probe"].hidden, configs["cross_modal"].reverse_triplets) == (7, "kept")


@pytest.mark.parametrize(
    ("name", "change", "wanted"),
    [
        ("probe", "patience=0", "a whole number from 1"),
        ("fine_tuning", "max_protein_tokens=2", "a whole number from 3"),
        ("few_shot", "draws=0", "a whole number from 1"),
        ("few_shot", "shots=(0, 1)", "a tuple with one or more of a whole number from 1"),
        ("few_shot", "splits.test_fraction=1.5", "a number above 0, at most 1"),
        ("protein_interaction", "splits=()", "a tuple with one or more of"),
        ("protein_interaction", "seeds=0", "a whole number from 1"),
        ("protein_interaction", "network.dropout=1.0", "a number from 0 to below 1"),
        ("cross_modal", "eval_every=0", "a whole number from 1"),
        ("cross_modal", "benchmarks=()", "a tuple with one or more of"),
    ],
)
def test_a_value_out_of_its_range_is_told_with_its_file(name, change, wanted):
    with pytest.raises(UserError) as told:
        load_configs(CONFIGS, [f"{name}.{change}"])
    assert f"the config's {change} must be {wanted}" in str(told.value)
    assert str(told.value).endswith(f"see configs/eval/{name}.py.")


@pytest.mark.parametrize(
    "change", ["probe.speed=3", "speed=3", "probe.max_epochs", "prob.max_epochs=3", "probe.max_epochs='a'"]
)
def test_a_change_of_no_field_is_told(change):
    with pytest.raises(UserError, match="--set "):
        load_configs(CONFIGS, [change])

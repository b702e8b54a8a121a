"""The configs of configs/eval: they are as their fields want them, and a change that is not is
told before anything runs."""

import shutil
from pathlib import Path

import pytest

from data_pipelines.common.errors import UserError
from eval.public.config_files import FIELDS, load_configs

CONFIGS = Path("configs/eval")


def test_changes_are_literals_or_texts():
    configs = load_configs(
        CONFIGS,
        ["few_shot.shots=(2, 3)", "probe.hidden=7", "cross_modal.reverse_triplets=('kept',)"],
    )
    assert configs.keys() == FIELDS.keys()
    assert configs["few_shot"].shots == (2, 3)
    assert (configs["probe"].hidden, configs["cross_modal"].reverse_triplets) == (7, ("kept",))


@pytest.mark.parametrize(
    ("name", "change", "wanted"),
    [
        ("probe", "patience=0", "a whole number from 1"),
        ("fine_tuning", "max_protein_tokens=2", "a whole number from 3"),
        ("few_shot", "draws=0", "a whole number from 1"),
        ("few_shot", "shots=(0, 1)", "a tuple with one or more of a whole number from 1"),
        ("few_shot", "splits.test_fraction=1.5", "a number above 0 and at most 1"),
        ("protein_interaction", "splits=()", "a tuple with one or more of"),
        ("protein_interaction", "seeds=0", "a whole number from 1"),
        ("protein_interaction", "network.dropout=1.0", "a number from 0 to below 1"),
        ("cross_modal", "eval_every=0", "a whole number from 1"),
        ("cross_modal", "benchmarks=()", "a tuple with one or more of"),
    ],
)
def test_a_value_out_of_its_range_is_reported_with_its_file(name, change, wanted):
    with pytest.raises(UserError) as raised:
        load_configs(CONFIGS, [f"{name}.{change}"])
    assert f"the config's {change} must be {wanted}" in str(raised.value)
    assert str(raised.value).endswith(f"see configs/eval/{name}.py.")


@pytest.mark.parametrize(
    "change",
    ["probe.speed=3", "speed=3", "probe.max_epochs", "prob.max_epochs=3", "probe.max_epochs='a'"],
)
def test_a_change_of_no_field_is_reported(change):
    with pytest.raises(UserError, match="--set "):
        load_configs(CONFIGS, [change])


def with_probe(folder, body):
    """The project's configs, of which that of the probe is changed by these lines."""
    shutil.copytree(CONFIGS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    lines = "".join(f"    {line}\n" for line in body)
    before = (
        "from configs.eval import probe\n\n\ndef get_config():\n    config = probe.get_config()\n"
    )
    (folder / "probe.py").write_text(f"{before}{lines}    return config\n")
    return folder


def test_a_mistake_in_a_file_names_its_line(tmp_path):
    folder = with_probe(tmp_path / "eval", ["config.patience = config.batch_sise"])
    with pytest.raises(UserError) as raised:
        load_configs(folder, [])
    assert str(raised.value).startswith(f"{folder}/probe.py:6: AttributeError: ")


def test_files_may_hold_numpy_scalars_and_import_what_lies_beside_them(tmp_path):
    body = ["import numpy as np", "import sizes_of_mine", "config.batch_size = sizes_of_mine.BATCH"]
    body += ["config.optimizer.learning_rate = np.float32(0.5)", "config.seeds = (np.int64(3),)"]
    folder = with_probe(tmp_path / "eval", body)
    (folder / "sizes_of_mine.py").write_text("BATCH = 7\n")
    probe = load_configs(folder, ["probe.patience=3"])["probe"]
    assert (probe.batch_size, probe.optimizer.learning_rate, probe.seeds, probe.patience) == (
        7,
        0.5,
        (3,),
        3,
    )
    assert (type(probe.optimizer.learning_rate), type(probe.seeds[0])) == (float, int)


def test_a_file_without_a_config_is_reported(tmp_path):
    folder = with_probe(tmp_path / "eval", [])
    (folder / "few_shot.py").write_text("def get_config():\n    return {}\n")
    with pytest.raises(UserError, match=r"few_shot\.py: get_config\(\)"):
        load_configs(folder, [])

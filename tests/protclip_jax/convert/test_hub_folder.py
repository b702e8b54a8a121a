"""An exported folder is complete for the hub, and is a checkpoint of every command as it lies."""

import json
import shutil

import chex
import numpy as np
import pytest
import transformers
import yaml

from data_pipelines.common.errors import UserError
from eval.__main__ import main as evaluate
from protclip_jax import ProtCLIP
from protclip_jax.convert.__main__ import main
from protclip_jax.convert.checkpoint import converted_config, read_checkpoint
from protclip_jax.convert.hub_folder import open_checkpoint
from protclip_jax.doctor.checkpoint import abilities
from protclip_jax.embed import __main__ as embed
from protclip_jax.retrieval.calibration import FILE, Calibration, Table, to_text
from protclip_jax.retrieval.engine import own_calibration
from protclip_jax.training.initial_state import check_init
from tests.support import tiny
from tests.support.sentences import only_sentence

ENCODER = {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 64}
MADE = converted_config(
    ENCODER, {**ENCODER, "max_positions": 512}, projection_dim=16, num_prototypes=8
)
CONFIG = {
    **MADE,
    "tokenizer": {**MADE["tokenizer"], "max_text_tokens": 64, "max_protein_tokens": 128},
}
CONFIG |= {
    "pda": {**MADE["pda"], "theta": 0.2},
    "model": {**MADE["model"], "prototype_temperature": 0.8},
}
REPORT = {
    "provenance": {"step": 0, "dataset": "runs/sample/protanno", "split": "test"},
    "retrieval": {
        "pool": 256,
        "p2t_r1": 0.25,
        "kmer": {"mrr": 0.1},
        "text": "words",
        "undefined": None,
    },
    "pda": {"auroc": {"function": 0.75, "location": None}},
    "benchmarks": {
        "ec: x": {"headline": {"f_max": {"mean": 0.5, "std": None}}},
        "gone": {"missing": "no data"},
    },
    "figures": {"losses": "figures/losses.png"},
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tiny.save(tmp_path_factory.mktemp("whole"), CONFIG)
    (folder / "report.json").write_text(json.dumps(REPORT))
    return folder


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "out"
    assert (
        main(
            [
                "to_hf",
                "--checkpoint",
                str(checkpoint),
                "--licence",
                "apache-2.0",
                "--output",
                str(folder),
            ]
        )
        == 0
    )
    return folder


def front_matter(folder):
    return yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])


def test_the_folder_has_all_that_the_hub_wants(exported):
    assert {path.name for path in exported.iterdir()} == {
        *("protein", "text", "heads.safetensors", "protclip_config.json"),
        *("README.md", "LICENSE.md", ".gitattributes"),
    }
    assert "*.safetensors filter=lfs" in (exported / ".gitattributes").read_text()
    assert "This model: apache-2.0." in (exported / "LICENSE.md").read_text()
    fields = front_matter(exported)
    assert (fields["license"], fields["library_name"]) == ("apache-2.0", "transformers")
    assert {"protein", "protclip"} <= set(fields["tags"])


def test_the_card_has_the_numbers_of_the_report_and_nothing_else(exported):
    (model,) = front_matter(exported)["model-index"]
    found = {
        (result["task"]["name"], metric["type"]): metric["value"]
        for result in model["results"]
        for metric in result["metrics"]
    }
    assert found == {
        ("retrieval", "pool"): 256,
        ("retrieval", "p2t_r1"): 0.25,
        ("retrieval", "kmer mrr"): 0.1,
        ("pda", "auroc function"): 0.75,
        ("ec: x", "f_max"): 0.5,
    }
    assert {result["dataset"]["name"] for result in model["results"]} == {"protanno"}
    assert "| retrieval | p2t\\_r1 | 0.25 |" in (exported / "README.md").read_text()


def test_tokenizers_cut_where_the_model_does(exported):
    protein, text = (
        transformers.AutoTokenizer.from_pretrained(exported / name) for name in ("protein", "text")
    )
    assert len(protein("M" * 500, truncation=True)["input_ids"]) == 128
    assert len(text("a " * 500, truncation=True)["input_ids"]) == 64


def test_a_report_on_another_step_is_left_out_with_a_word(checkpoint, tmp_path, capsys):
    (checkpoint / "report.json").write_text(json.dumps(REPORT | {"provenance": {"step": 7}}))
    assert main(["to_hf", "--checkpoint", str(checkpoint), "--output", str(tmp_path / "out")]) == 0
    assert (
        "no report on step 0 was found, so the model card has no numbers" in capsys.readouterr().err
    )
    fields = front_matter(tmp_path / "out")
    assert "model-index" not in fields
    assert (fields["license"], fields["license_link"]) == ("other", "LICENSE.md")
    (checkpoint / "report.json").write_text(json.dumps(REPORT))


@pytest.mark.parametrize("content", ["{", "{}", '{"provenance": 1}'])
def test_a_file_that_is_no_report_is_one_sentence(checkpoint, tmp_path, capsys, content):
    (tmp_path / "x.json").write_text(content)
    arguments = ["to_hf", "--checkpoint", str(checkpoint), "--report", str(tmp_path / "x.json")]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    assert "x.json" in only_sentence(capsys.readouterr().err)


def test_the_folder_is_loaded_as_the_checkpoint_that_it_was_made_of(checkpoint, exported):
    ours, theirs = ProtCLIP.load(checkpoint), ProtCLIP.load(exported)
    assert theirs.fingerprint == ours.fingerprint
    assert theirs.config["pda"] == CONFIG["pda"]
    again = read_checkpoint(open_checkpoint(exported), None)
    chex.assert_trees_all_equal(again.params, read_checkpoint(checkpoint, None).params)


def test_the_calibration_of_the_step_goes_along_and_is_read(checkpoint, tmp_path, capsys):
    source = tmp_path / "source"
    shutil.copytree(checkpoint, source)
    table = Table("text", "family", (1.0, 0.0), (), (0.5,), (0.4,), (30,), 0.1)
    calibration = Calibration(ProtCLIP.load(source).fingerprint, (table,))
    (source / FILE).write_text(to_text(calibration, {"provenance": {"step": 0, "pool": 9}}))

    def convert(command, name, *more, source=source):
        line = [command, "--checkpoint", str(source), "--output", str(tmp_path / name), *more]
        assert main(line) == 0
        return tmp_path / name, capsys.readouterr().err

    exported, found = convert("to_hf", "exported")
    assert "calibration: copied." in found
    assert "- `calibration.json`: how often" in (exported / "README.md").read_text()
    copy, found = convert("params", "copy", source=exported)
    assert "calibration: copied." in found
    for folder in (exported, copy):
        opened = open_checkpoint(folder)
        assert own_calibration(opened, ProtCLIP.load(opened)) == calibration
        provenance = json.loads((folder / FILE).read_text())["provenance"]
        assert provenance == {"step": 0, "pool": 9, "measured_step": 0}
    assert abilities_of(copy)["calibrated"] == "text/family"

    rounded, found = convert("to_hf", "rounded", "--dtype", "float16")
    assert "calibration: not copied, because rounding to float16" in found
    assert not (rounded / FILE).exists()
    (source / FILE).write_text(to_text(calibration, {"provenance": {"step": 7}}))
    other, found = convert("params", "other")
    assert "is of step 7, not 0; run `python -m eval --calibrate`" in found
    assert not (other / FILE).exists()
    (source / FILE).unlink()
    assert "calibration: the checkpoint has none" in convert("params", "without")[1]


def abilities_of(folder):
    return dict(abilities(str(folder), None))


def test_commands_take_the_folder(checkpoint, exported, tmp_path, capsys):
    (tmp_path / "x.fasta").write_text(">p\nMKTAYIAKQRQISF\n")
    for name, folder in (("ours", checkpoint), ("theirs", exported)):
        arguments = ["--checkpoint", str(folder), "--input", str(tmp_path / "x.fasta")]
        assert embed.main([*arguments, "--output", str(tmp_path / f"{name}.parquet")]) == 0
    assert (tmp_path / "ours.parquet").read_bytes() == (tmp_path / "theirs.parquet").read_bytes()
    capsys.readouterr()
    assert evaluate(["--checkpoint", str(exported)]) == 2
    assert "--output is missing" in only_sentence(capsys.readouterr().err)


def test_training_from_it_is_refused_with_what_to_do(exported):
    with pytest.raises(
        UserError,
        match=r"for training run `python -m protclip_jax\.convert params --checkpoint .* --output "
        r"DIR`",
    ):
        check_init({"init": {"all": str(exported), "protein": None, "text": None}})


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"config": {}, "source": {}}',
        '{"config": {"pda": {"theta": "x"}}, "source": {}}',
    ],
)
def test_an_export_of_a_stranger_is_one_sentence(exported, tmp_path, content):
    (tmp_path / "protclip_config.json").write_text(content)
    with pytest.raises(UserError, match=r"protclip_config\.json"):
        open_checkpoint(tmp_path)


def test_a_tower_that_is_missing_is_one_sentence(exported, tmp_path):
    (tmp_path / "protclip_config.json").write_bytes(
        (exported / "protclip_config.json").read_bytes()
    )
    with pytest.raises(UserError, match="nothing to convert"):
        open_checkpoint(tmp_path)


def test_numbers_are_those_of_the_tensors(exported):
    params = read_checkpoint(open_checkpoint(exported), None).params
    np.testing.assert_array_equal(
        params["prototype_bank"]["prototypes"], tiny.params()["prototype_bank"]["prototypes"]
    )

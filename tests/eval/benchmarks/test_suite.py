"""`python -m eval` on public data: every family from raw files to the report, and how it goes on
after a stop."""

import json
import re
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers.text_tokenizer import SPECIAL_TOKENS, UNCASED, TextTokenizer
from eval import __main__ as cli
from eval.benchmarks.families import BENCHMARKS
from eval.data import manifest
from eval.public import suite
from eval.public.subjects import CheckpointModel
from tests.support import miniature
from tests.support.composition_model import Composition, Noise

ONE_OF_EACH = ["membrane", "go_mf", "stability", "similarity_mf", "shs27k", "prot2bp"]
ONE_OF_EACH += ["zero_shot_localisation", "zero_shot_reaction", "few_shot_membrane"]
ONE_OF_EACH += ["variants_fluorescence", "proteingym"]
SMALL = [
    *(
        "probe.seeds=(0, 1)",
        "probe.max_epochs=20",
        "probe.hidden=16",
        "probe.optimizer.learning_rate=0.02",
    ),
    *(
        "protein_interaction.seeds=1",
        "protein_interaction.epochs=2",
        'protein_interaction.splits=("random",)',
    ),
    *(
        "cross_modal.seeds=1",
        "cross_modal.epochs=1",
        "cross_modal.bridge.width=16",
        "cross_modal.bridge.layers=1",
    ),
    *(
        "cross_modal.bridge.heads=2",
        "cross_modal.bridge.feed_forward=16",
        "cross_modal.batch_triplets=64",
    ),
    *("cross_modal.held_out=0.3", "cross_modal.no_relation_control=False"),
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return miniature.write(tmp_path_factory.mktemp("public"))


@pytest.fixture
def run(monkeypatch, tmp_path):
    """The command on a model of composition; also the model."""
    model = Composition()
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text(json.dumps({"format_version": 1, "config": {}}))
    monkeypatch.setattr(cli, "load", lambda directory, step: (model, 3))
    monkeypatch.setattr(cli, "read_config", lambda directory: {})

    def command(*arguments):
        return cli.main(
            [str(a) for a in ("--checkpoint", checkpoint, "--output", tmp_path / "out", *arguments)]
        )

    return command, model, tmp_path / "out"


def test_every_family_goes_from_raw_files_to_the_report_and_a_second_run_computes_nothing(
    run, data_dir, capsys
):
    command, model, output = run
    arguments = ["--data_dir", data_dir, "--benchmarks", *ONE_OF_EACH, "--set", *SMALL]
    assert command(*arguments) == 0
    report = json.loads((output / "report.json").read_text())["benchmarks"]
    assert list(report) == ONE_OF_EACH
    for name, result in report.items():
        means = [value["mean"] for value in result["headline"].values()]
        assert means
        assert all(mean is not None and -1 <= mean <= 10 for mean in means), (name, means)
        # None of the miniature data are the published ones, and the report says so.
        assert result["data"]["whole"] in (False, None)
        assert result["data"]["files"]
    assert report["membrane"]["headline"]["accuracy"]["mean"] > 0.7
    assert report["go_mf"]["published"][0]["model"] == "ProtCLIP"
    # The probe stands beside fine-tuned numbers, and the table says so of both.
    assert (report["go_mf"]["protocol"], report["go_mf"]["published"][0]["protocol"]) == (
        "frozen probe",
        "fine-tuning",
    )
    page = (output / "report.md").read_text()
    assert re.search(
        r"\| go_mf \| fmax \| frozen probe \|.*\| ProtCLIP 0.691 \(fine-tuning\)", page
    )
    assert re.search(
        r"\| membrane \| accuracy \| frozen probe \|.*\| no published number could be verified \|",
        page,
    )
    assert report["shs27k"]["data"]["audit"]["proteins"] == 40
    page = (output / "report.md").read_text()
    assert "**other data**" in page
    assert "ProtCLIP 0.696" in page
    assert (output / "figures" / "benchmarks.png").stat().st_size > 10_000
    for message in (
        "`go_mf` by identity to training",
        "composition 0.",
        "frequency 0.",
        "SHA-256",
        "CPU cores",
        "prompts in another",
        "prot2bp: 1 rows of kg.csv were left out",
    ):
        assert message in page, message
    assert {"benchmarks", "identity", "few_shot"} <= set(
        json.loads((output / "report.json").read_text())["figures"]
    )

    asked = model.asked
    before = {path.name: path.stat().st_mtime_ns for path in (output / "results").iterdir()}
    assert command(*arguments) == 0
    assert model.asked == asked
    assert {path.name: path.stat().st_mtime_ns for path in (output / "results").iterdir()} == before
    # Another protocol's numbers are not taken for these, nor do they take the place of the report.
    other = [
        "--data_dir",
        data_dir,
        "--benchmarks",
        *ONE_OF_EACH,
        "--set",
        *SMALL,
        "probe.max_epochs=2",
    ]
    assert command(*other) == 2
    assert "report.json is from another evaluation (different set)" in capsys.readouterr().err
    moved = shutil.copytree(output / "results", output.with_name("other") / "results").parent
    one = ["--benchmarks", "membrane", "--output", moved]
    assert command(*other, *one) == 0
    assert (moved / "results/membrane.json").read_bytes() != (
        output / "results/membrane.json"
    ).read_bytes()


class Stopping(Composition):
    """Is stopped, as by Ctrl-C, once it has embedded the 170 proteins of the first benchmark and
    is asked for others."""

    def represent(self, sequences, *, kinds, windows):
        if self.asked >= 170:
            raise KeyboardInterrupt
        return super().represent(sequences, kinds=kinds, windows=windows)


def test_an_evaluation_that_is_stopped_goes_on_where_it_was(run, data_dir, monkeypatch):
    command, model, output = run
    arguments = [
        "--data_dir",
        data_dir,
        "--benchmarks",
        "membrane",
        "few_shot_membrane",
        "stability",
        "--set",
        *SMALL,
    ]
    stopping = Stopping()
    monkeypatch.setattr(cli, "load", lambda directory, step: (stopping, 3))
    assert command(*arguments) not in (0, 2)
    done = {path.name: path.read_bytes() for path in (output / "results").iterdir()}
    assert done.keys() == {
        f"{name}.{kind}" for name in ("membrane", "few_shot_membrane") for kind in ("json", "npz")
    }
    with np.load(output / "results" / "membrane.npz") as drawn:
        interval = json.loads(done["membrane.json"])["headline"]["accuracy"]["interval"]
        assert np.percentile(drawn["accuracy/interval"], [2.5, 97.5]) == pytest.approx(
            interval, abs=0.02
        )
    monkeypatch.setattr(cli, "load", lambda directory, step: (model, 3))
    assert command(*arguments) == 0
    assert {name: (output / "results" / name).read_bytes() for name in done} == done
    # Only the proteins of the third are embedded: what was done is neither measured nor embedded
    # again.
    assert model.asked == len(
        {
            s.sequence
            for split in manifest.load(data_dir, "stability").splits.values()
            for s in split
        }
    )
    assert set(json.loads((output / "report.json").read_text())["benchmarks"]) == {
        "membrane",
        "few_shot_membrane",
        "stability",
    }


def test_two_evaluations_at_once_share_a_cache(data_dir, tmp_path):
    asked = ["--checkpoint", tmp_path, "--cache", tmp_path / "cache", "--data_dir", data_dir]
    asked += [
        "--benchmarks",
        "few_shot_membrane",
        "few_shot_localisation",
        "similarity_mf",
        "zero_shot_localisation",
    ]
    command = [sys.executable, "-m", "tests.support.composition_model", *map(str, asked)]
    outputs = [tmp_path / "out", tmp_path / "other"]
    both = [
        subprocess.Popen([*command, "--output", str(output)], stderr=subprocess.PIPE, text=True)
        for output in outputs
    ]
    for process in both:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        assert "damaged" not in error
    assert not list((tmp_path / "cache").rglob("*.writing"))
    assert not list(tmp_path.rglob("*.partial"))
    reports = [json.loads((output / "report.json").read_text())["benchmarks"] for output in outputs]
    for name, result in reports[0].items():
        assert result["headline"] == reports[1][name]["headline"]


def test_random_weights_stand_beside_every_benchmark(run, data_dir, tmp_path, monkeypatch, capsys):
    command, model, output = run
    names = ["membrane", "stability", "few_shot_membrane", "variants_fluorescence"]
    asked = ["--data_dir", data_dir, "--benchmarks", *names, "--set", *SMALL]
    assert command(*asked, "--random_weights") == 0
    assert "the same benchmarks with random weights:" in capsys.readouterr().err
    found = json.loads((output / "report.json").read_text())["benchmarks"]

    # Their numbers are those of a command of their own.
    monkeypatch.setattr(cli, "load", lambda directory, step: (Noise(), 3))
    assert command(*asked, "--output", tmp_path / "alone") == 0
    alone = json.loads((tmp_path / "alone" / "report.json").read_text())["benchmarks"]
    for name in names:
        beside = found[name]["random_weights"]
        assert beside.keys() == alone[name]["headline"].keys() == found[name]["headline"].keys()
        for metric, value in alone[name]["headline"].items():
            assert {key: beside[metric][key] for key in value} == value
        assert "random_weights" not in alone[name]

    # Composition is what the labels are made of.
    accuracy = found["membrane"]["random_weights"]["accuracy"]
    assert accuracy["better"] == "trained"
    own = found["membrane"]["headline"]["accuracy"]["mean"]
    assert accuracy["difference"] == pytest.approx(own - accuracy["mean"])
    drawn = [
        np.load(folder / "results/membrane.npz")["accuracy/interval"].astype(float)
        for folder in (output, tmp_path / "alone")
    ]
    assert accuracy["difference_interval"] == pytest.approx(
        np.percentile(drawn[0] - drawn[1], [2.5, 97.5]), abs=1e-9
    )
    assert accuracy["p_value"] < accuracy["p_holm"] < 0.05
    page = (output / "report.md").read_text()
    assert "### Beside random weights" in page
    assert re.search(r"\| membrane \| accuracy \| .* \| trained \| ", page)
    assert "Beside random weights" not in (tmp_path / "alone" / "report.md").read_text()

    # A second run computes nothing.
    monkeypatch.setattr(cli, "load", lambda directory, step: (model, 3))
    before = {path: path.stat().st_mtime_ns for path in output.rglob("results/*")}
    assert len(before) == 2 * 2 * len(names)
    assert command(*asked, "--random_weights") == 0
    assert {path: path.stat().st_mtime_ns for path in output.rglob("results/*")} == before


def test_a_failure_of_random_weights_alone_is_told(run, data_dir, monkeypatch, capsys):
    def unfit(self, texts):
        raise UserError("a text embedding is not finite.")

    command, _, output = run
    monkeypatch.setattr(Noise, "encode_texts", unfit)
    asked = ["--data_dir", data_dir, "--benchmarks", "few_shot_membrane", "zero_shot_localisation"]
    assert command(*asked, "--random_weights") == 2
    error = capsys.readouterr().err
    assert "1 of 2 benchmarks could not be measured, as reported above: zero_shot" in error
    found = json.loads((output / "report.json").read_text())["benchmarks"]
    assert "random_weights" in found["few_shot_membrane"]
    assert found["zero_shot_localisation"]["headline"]
    assert "random_weights" not in found["zero_shot_localisation"]


def test_what_is_missing_is_named_with_where_it_comes_from(run, tmp_path, capsys):
    command, _, output = run
    empty = tmp_path / "empty"
    empty.mkdir()
    assert command("--data_dir", empty, "--benchmarks", "aav") == 0
    assert r"two\_vs\_many.csv of FLIP" in (output / "report.md").read_text()
    assert "benchmark 1 of 1: aav.\naav is left out: " in capsys.readouterr().err
    assert command("--data_dir", empty) == 2
    assert "data of no benchmark" in capsys.readouterr().err


def test_one_benchmark_that_fails_costs_no_other_and_is_reported(run, data_dir, tmp_path, capsys):
    command, _, output = run
    folder = shutil.copytree(data_dir, tmp_path / "data")
    entries = json.loads((folder / "benchmarks.json").read_text())
    entries["membrane"] = entries["localisation"] | {"train": "nonsense.fasta"}
    (folder / "nonsense.fasta").write_text("no header\n")
    (folder / "benchmarks.json").write_text(json.dumps(entries))
    asked = [
        "--data_dir",
        folder,
        "--benchmarks",
        "membrane",
        "few_shot_localisation",
        "--set",
        *SMALL,
    ]
    assert command(*asked) == 2
    printed = capsys.readouterr().err.splitlines()
    assert printed[-2:] == [
        f"wrote {output / 'report.md'}",
        "error: 1 of 2 benchmarks could not be measured, as reported above: membrane.",
    ]
    (left_out,) = [line for line in printed if line.startswith("membrane is left out: ")]
    counted = [line for line in printed if line.startswith("benchmark ")]
    assert counted == ["benchmark 1 of 2: membrane.", "benchmark 2 of 2: few_shot_localisation."]
    assert "nonsense.fasta" in left_out
    report = json.loads((output / "report.json").read_text())["benchmarks"]
    assert report["few_shot_localisation"]["headline"]
    assert report["membrane"].keys() == {"benchmark", "failed"}
    assert "**Failed**: membrane: " in (output / "report.md").read_text()


def test_where_all_fail_no_report_is_written(run, data_dir, capsys):
    command, _, output = run
    asked = [
        "--data_dir",
        data_dir,
        "--benchmarks",
        "shs27k",
        "--set",
        "protein_interaction.splits=('alphabet',)",
    ]
    assert command(*asked) == 2
    assert "alphabet" in capsys.readouterr().err
    assert not (output / "report.md").exists()


class Own:
    """An evaluation on a built dataset that is done at once."""

    key = "own"
    control = None

    def report(self, model, *, control, baselines):
        return {"number": 1}

    def markdown(self, result):
        return "## Own"

    def figures(self, model):
        return {}


def test_what_was_measured_on_a_built_dataset_is_kept_where_public_data_fail(
    run, data_dir, monkeypatch
):
    command, _, output = run
    dataset = types.SimpleNamespace(statistics={})
    monkeypatch.setattr(cli, "built_dataset", lambda options, trained_on: (data_dir, dataset))
    monkeypatch.setattr(cli, "make_evaluation", lambda name, dataset, options: Own())
    asked = ["--data_dir", data_dir, "--benchmarks", "retrieval", "shs27k"]
    assert command(*asked, "--set", "protein_interaction.splits=('alphabet',)") == 2
    report = json.loads((output / "report.json").read_text())
    assert report["own"] == {"number": 1}
    assert "alphabet" in report["benchmarks"]["shs27k"]["failed"]


def test_all_are_the_benchmarks_whose_data_are_there(data_dir):
    assert suite.choose(data_dir) == list(BENCHMARKS)
    assert manifest.available(data_dir)[0] == list(BENCHMARKS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--benchmarks", "ec"], "public data"),
        (["--benchmarks", "ecc"], "unknown evaluation 'ecc'"),
        (
            ["--data_dir", "{public}", "--benchmarks", "ec", "--set", "probe.speed=3"],
            "probe.speed=3",
        ),
        (
            ["--data_dir", "{public}", "--benchmarks", "ec", "--set", "probe.max_epochs='a'"],
            "max_epochs",
        ),
        (
            ["--data_dir", "{public}", "--benchmarks", "ec", "--configs", "nowhere"],
            "nowhere/probe.py does not exist",
        ),
        (
            ["--data_dir", "{public}", "--benchmarks", "ec", "--pool", "9", "--hits", "a=b"],
            "--pool and --hits only apply to evaluations on a built dataset; remove them.",
        ),
        (
            ["--data_dir", "{public}", "--random_weights", "--protocol", "fine_tuning"],
            "--random_weights compares frozen networks, but --protocol=fine_tuning trains them",
        ),
        (
            ["--benchmarks", "losses", "--random_weights"],
            "--random_weights only applies to retrieval and single_property, and to public data",
        ),
        (
            ["--benchmarks", "retrieval", "--protocol", "fine_tuning", "--set", "probe.hidden=9"],
            "--protocol and --set only apply to benchmarks on public data; remove them.",
        ),
    ],
)
def test_mistakes_are_one_sentence(run, data_dir, capsys, arguments, message):
    command, _, _ = run
    assert command(*(argument.format(public=data_dir) for argument in arguments)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def keys_of(data_dir, names, *, model=None):
    """The keys under which results of benchmarks on a data folder are kept."""
    subject = CheckpointModel(model or Composition(), data_dir, 0, data_dir)
    asked = suite.Suite(subject, "probe", configs={}, folder=data_dir)
    return [
        asked._key(name, manifest.load(data_dir, name), manifest.entries_of(data_dir, name))
        for name in names
    ]


def changed_model(**changes):
    model = Composition()
    vars(model).update(changes)
    return model


def test_a_result_of_another_model_is_measured_anew(data_dir):
    keys = keys_of(data_dir, ["membrane", "ec", "aav"])
    assert keys == keys_of(data_dir, ["membrane", "ec", "aav"], model=changed_model())
    cased = UNCASED | {"do_lower_case": False}
    others = [
        changed_model(fingerprint="1" * 64),
        # The same parameters.
        changed_model(config={"model": {}, "tokenizer": {"max_text_tokens": 9}}),
        changed_model(
            config={"model": {"protein": {"num_heads": 2}}, "tokenizer": {"max_text_tokens": 8}}
        ),
        changed_model(text_tokenizer=TextTokenizer([*SPECIAL_TOKENS, "a", "b"])),
        changed_model(text_tokenizer=TextTokenizer([*SPECIAL_TOKENS, "b", "a"])),
        changed_model(
            text_tokenizer=TextTokenizer([*SPECIAL_TOKENS, "a", "b"], normalization=cased)
        ),
    ]
    keys += [key for model in others for key in keys_of(data_dir, ["membrane"], model=model)]
    assert len(set(keys)) == 9


def test_a_result_of_the_same_files_read_otherwise_is_measured_anew(data_dir, tmp_path):
    folder = shutil.copytree(data_dir, tmp_path / "data")
    names = ["localisation", "few_shot_localisation", "zero_shot_localisation", "membrane"]
    before = keys_of(folder, names)

    def changed(**changes):
        entries = json.loads((data_dir / "benchmarks.json").read_text())
        entries["localisation"] |= changes
        (folder / "benchmarks.json").write_text(json.dumps(entries))
        return [key != old for key, old in zip(keys_of(folder, names), before, strict=True)]

    assert changed(comment="the same") == [False] * 4
    assert changed(mixed="Nucleus") == [True, True, True, False]
    assert changed(valid="deeploc/test.fasta", test="deeploc/valid.fasta") == [
        True,
        True,
        True,
        False,
    ]
    # The files themselves may change their places, too.
    assert changed() == [False] * 4
    valid, test = ((folder / f"deeploc/{split}.fasta") for split in ("valid", "test"))
    contents = valid.read_bytes(), test.read_bytes()
    test.write_bytes(contents[0])
    valid.write_bytes(contents[1])
    assert all(key != old for key, old in zip(keys_of(folder, names), before, strict=True))


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"key": "of another"}'])
def test_a_damaged_result_is_measured_anew(run, data_dir, content):
    command, _, output = run
    stored = output / "results/few_shot_membrane.json"
    stored.parent.mkdir(parents=True)
    stored.write_text(content)
    assert command("--data_dir", data_dir, "--benchmarks", "few_shot_membrane") == 0
    assert json.loads(stored.read_text())["headline"]

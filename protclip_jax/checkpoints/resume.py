"""Checks whether a run may resume in a workdir: same config, dataset and tokenizer as before."""

import json
import pathlib
import reprlib
import shlex
import sys
from collections.abc import Mapping, Sequence, Set

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.checkpoints.metadata import (
    LIBRARIES,
    load_text_tokenizer,
    read_config,
    save_sealed,
    versions,
    write_metadata,
)
from protclip_jax.config.schema import FIELDS, ON_REQUEST, completed, is_changeable


def adopt(
    workdir: pathlib.Path,
    config: Mapping,
    text_tokenizer: TextTokenizer,
    dataset: str,
    changes: Sequence[str] = (),
    *,
    write: bool,
) -> None:
    """Creates a workdir (in the process that may `write`), or checks that it belongs to this run.

    `dataset` is the dataset's fingerprint. The fields in `changes` may differ from the workdir's.
    If library versions have changed, a resumed run reports that on stderr.

    Raises:
      UserError: the workdir belongs to another config, dataset or tokenizer, lacks its config.json,
        or holds parameters without the state of their training.
      OSError: it cannot be written.
    """
    # An interrupted save has a name that is not a number.
    steps = [path for path in workdir.glob("checkpoints/*") if path.name.isdecimal()]
    if steps and not any((step / "optimizer").exists() for step in steps):
        raise UserError(
            f"--workdir={workdir} holds parameters only and cannot be trained further; start a "
            "new workdir and name this one in --config.init.all."
        )
    if not (workdir / "config.json").exists():
        if steps:
            raise UserError(
                f"--workdir={workdir} holds checkpoints but no config.json; restore it from a copy."
            )
        if write:
            write_metadata(workdir, config, text_tokenizer, dataset=dataset)
        return
    check_same_run(workdir, config, text_tokenizer, dataset, changes)
    stored, ours = read_json(workdir / "config.json").get("versions", {}), versions()
    if write and stored != ours:
        message = ", ".join(
            f"{name} {stored.get(name)} → {ours.get(name)}"
            for name in LIBRARIES
            if stored.get(name) != ours.get(name)
        )
        print(
            f"note: {workdir} was started with other versions ({message}); results may differ in "
            "the last bits.",
            file=sys.stderr,
        )


def check_same_run(
    workdir: pathlib.Path,
    config: Mapping,
    text_tokenizer: TextTokenizer,
    dataset: str,
    changes: Sequence[str] = (),
) -> None:
    """Checks that a workdir's run trains as `config` says, except for the fields in `changes`.

    Data and tokenizers must be the same. A field newer than the workdir has the value that the code
    used before it. With another `total_steps`, the learning rate follows the new schedule from the
    step of the change.

    Raises:
      UserError: training, data or tokenizers differ; names the differences.
    """
    began = read_config(workdir)
    stored, wanted = _decisive(completed(began)), _decisive(config)
    compared = (stored.keys() | wanted.keys()) - set(changes)
    if different := sorted(key for key in compared if stored.get(key) != wanted.get(key)):
        shown = "; ".join(
            f"{key} was {reprlib.repr(stored.get(key))}, now {reprlib.repr(wanted.get(key))}"
            for key in different[:5]
        )
        fix = _fix(different, newer=FIELDS.keys() - flat(began))
        raise UserError(f"--workdir={workdir} belongs to another config ({shown}); {fix}.")
    kept = load_text_tokenizer(workdir)
    if (kept.vocabulary, kept.normalization) != (
        text_tokenizer.vocabulary,
        text_tokenizer.normalization,
    ):
        raise UserError(
            f"tokenizer.text={config['tokenizer']['text']} is not the tokenizer "
            f"{workdir / 'tokenizers' / 'text'} with which --workdir={workdir} was started; name "
            "that one, or use another workdir."
        )
    if read_json(workdir / "config.json").get("dataset") != dataset:
        raise UserError(
            f"data.dir={config['data']['dir']} is not the dataset with which --workdir={workdir} "
            f"was started (then {began.get('data', {}).get('dir')}); name that one or a copy of "
            "it, or use another workdir."
        )


def record_changes(
    workdir: pathlib.Path, config: Mapping, changes: Sequence[str], *, step: int
) -> None:
    """Writes the new values of the fields in `changes` to config.json and to its `history`.

    The history is a list of `{"step", "field", "was", "now"}`: the run has the value `now` from
    that step on.
    """
    metadata = read_json(workdir / "config.json")
    began, wanted = _decisive(completed(metadata["config"])), _decisive(config)
    changed = [field for field in changes if began[field] != wanted[field]]
    for field in changed:
        group, _, name = field.rpartition(".")
        was, now = began[field], wanted[field]
        metadata["config"].setdefault(group, {})[name] = now
        metadata.setdefault("history", []).append(
            {"step": step, "field": field, "was": was, "now": now}
        )
        print(f"note: from step {step} on {field} is {now}; it was {was}.", file=sys.stderr)
    if changed:
        save_sealed(workdir, metadata)


def _fix(different: Sequence[str], *, newer: Set[str]) -> str:
    """How to handle differing fields, some of which may be `newer` than the workdir."""
    if set(ON_REQUEST).issuperset(different):
        return (
            f"pass --change={','.join(different)} to continue with the new values, or use another "
            "workdir"
        )
    if not newer.issuperset(different):
        return "use another workdir"
    options = [shlex.quote(f"--config.{key}={FIELDS[key].began_with}") for key in different]
    return f"pass {' '.join(options)} to continue as it was started, or use another workdir"


def _decisive(config: Mapping) -> dict:
    """The fields that affect what a run learns, by dotted names, as stored in JSON."""
    fields = flat(json.loads(json.dumps(config)))
    return {name: value for name, value in fields.items() if not is_changeable(name)}


def flat(tree: Mapping, prefix: str = "") -> dict:
    """Flattens a nested config into one mapping from dotted names to values."""
    fields = {}
    for key, value in tree.items():
        fields.update(
            flat(value, f"{prefix}{key}.")
            if isinstance(value, Mapping)
            else {f"{prefix}{key}": value}
        )
    return fields

"""Whether a run may go on in a workdir: the same config, dataset and tokenizer as when it began."""

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
    """Begins a workdir (in the process that may `write`), or checks that an existing one belongs to
    this run.

    `dataset` is the dataset's fingerprint. The fields of `changes` may have other values than in
    the workdir. A run that goes on with other versions of libraries says so on stderr.

    Raises:
      UserError: it belongs to another config, dataset or tokenizer, lacks its config.json, or holds
        parameters without the state of their training.
      OSError: it cannot be written.
    """
    # A save that was cut off has another name than a number.
    steps = [path for path in workdir.glob("checkpoints/*") if path.name.isdecimal()]
    if steps and not any((step / "optimizer").exists() for step in steps):
        raise UserError(
            f"--workdir={workdir} holds parameters only and cannot be trained further; "
            "start a new workdir and name this one in --config.init.all."
        )
    if not (workdir / "config.json").exists():
        if steps:
            raise UserError(
                f"--workdir={workdir} holds checkpoints but no config.json; put a copy of it "
                "in place."
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
            f"note: {workdir} was begun with other versions ({message}); its numbers may "
            "differ in their last bits.",
            file=sys.stderr,
        )


def check_same_run(
    workdir: pathlib.Path,
    config: Mapping,
    text_tokenizer: TextTokenizer,
    dataset: str,
    changes: Sequence[str] = (),
) -> None:
    """Checks that a workdir's run trains as `config` says but for the fields `changes`, with the
    same data and words.

    A field that is newer than the workdir has the value there that code had before the field. With
    another `total_steps` the learning rate follows the schedule of that number from then on.

    Raises:
      UserError: it trains differently, or with other data or words; names the differences.
    """
    began = read_config(workdir)
    stored, wanted = _decisive(completed(began)), _decisive(config)
    compared = (stored.keys() | wanted.keys()) - set(changes)
    if different := sorted(key for key in compared if stored.get(key) != wanted.get(key)):
        was_now = (
            (key, *(reprlib.repr(fields.get(key)) for fields in (stored, wanted)))
            for key in different[:5]
        )
        shown = "; ".join(f"{key} was {was}, now {now}" for key, was, now in was_now)
        fix = _fix(different, newer=FIELDS.keys() - flat(began))
        raise UserError(f"--workdir={workdir} belongs to another config ({shown}); {fix}.")
    kept = load_text_tokenizer(workdir)
    if (kept.vocabulary, kept.normalization) != (
        text_tokenizer.vocabulary,
        text_tokenizer.normalization,
    ):
        raise UserError(
            f"tokenizer.text={config['tokenizer']['text']} is another tokenizer than "
            f"{workdir / 'tokenizers' / 'text'}, "
            f"with which --workdir={workdir} was begun; name that one, or use another workdir."
        )
    if read_json(workdir / "config.json").get("dataset") != dataset:
        raise UserError(
            f"data.dir={config['data']['dir']} is another dataset than the one that "
            f"--workdir={workdir} was begun with "
            f"(then {began.get('data', {}).get('dir')}); name that one or a copy of it, or "
            "use another workdir."
        )


def record_changes(
    workdir: pathlib.Path, config: Mapping, changes: Sequence[str], *, step: int
) -> None:
    """Puts the new values of the fields `changes` into config.json, where they are new, and says so
    in its `history`.

    The history is a list of `{"step", "field", "was", "now"}`: from that step on the run has the
    value `now`.
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
    """What to do about fields that differ, of which some may be `newer` than the workdir."""
    if set(ON_REQUEST).issuperset(different):
        return (
            f"pass --change={','.join(different)} to go on with the new values, or use another "
            "workdir"
        )
    if not newer.issuperset(different):
        return "use another workdir"
    options = [shlex.quote(f"--config.{key}={FIELDS[key].began_with}") for key in different]
    return f"pass {' '.join(options)} to continue it as it began, or use another workdir"


def _decisive(config: Mapping) -> dict:
    """The fields, by their dotted names, that decide what a run learns, as JSON keeps them."""
    fields = flat(json.loads(json.dumps(config)))
    return {name: value for name, value in fields.items() if not is_changeable(name)}


def flat(tree: Mapping, prefix: str = "") -> dict:
    """A nested config as one mapping from dotted names to values."""
    fields = {}
    for key, value in tree.items():
        fields.update(
            flat(value, f"{prefix}{key}.")
            if isinstance(value, Mapping)
            else {f"{prefix}{key}": value}
        )
    return fields

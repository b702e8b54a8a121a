"""Whether a run may go on in a workdir: the same config, dataset and tokenizer as when it began."""

import json
import pathlib
import reprlib
import sys
from collections.abc import Mapping

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.checkpoints.metadata import LIBRARIES, load_text_tokenizer, read_config, versions, write_metadata

CHANGEABLE = (
    *("total_steps", "log_every", "eval_every", "checkpoint_every", "keep_best", "best", "evals", "mesh", "init"),
    *("max_skipped_steps", "gradient_norms_every", "stall_seconds"),
    *("data.dir", "data.workers", "tokenizer.text", "model.attention", "model.remat"),
    *("batch.microbatch_rows", "loss.contrast_chunk"),
)
"""Fields, with all below them, that a resumed run may change: they alter neither the network, nor what it learns from, nor how.

`data.dir` and `tokenizer.text` are other paths to the same contents. With another `total_steps` the learning rate follows the
schedule of that number from the step on at which the run goes on.
"""


def adopt(workdir: pathlib.Path, config: Mapping, text_tokenizer: TextTokenizer, dataset: str, *, write: bool) -> None:
    """Begins a workdir (in the process that may `write`), or checks that an existing one belongs to this run.

    `dataset` is the dataset's fingerprint. A run that goes on with other versions of libraries says so on stderr.

    Raises:
      UserError: it belongs to another config, dataset or tokenizer, lacks its config.json, or holds parameters without the
        state of their training.
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
            raise UserError(f"--workdir={workdir} holds checkpoints but no config.json; put a copy of it in place.")
        if write:
            write_metadata(workdir, config, text_tokenizer, dataset=dataset)
        return
    check_same_run(workdir, config, text_tokenizer, dataset)
    stored, ours = read_json(workdir / "config.json").get("versions", {}), versions()
    if write and stored != ours:
        message = ", ".join(
            f"{name} {stored.get(name)} → {ours.get(name)}" for name in LIBRARIES if stored.get(name) != ours.get(name)
        )
        print(
            f"note: {workdir} was begun with other versions ({message}); its numbers may differ in their last bits.",
            file=sys.stderr,
        )


def check_same_run(workdir: pathlib.Path, config: Mapping, text_tokenizer: TextTokenizer, dataset: str) -> None:
    """Raises `UserError`, with the differences, when a workdir's run trains differently, or with other data or words."""
    began = read_config(workdir)
    stored, wanted = _decisive(began), _decisive(json.loads(json.dumps(config)))
    if different := sorted(key for key in stored.keys() | wanted.keys() if stored.get(key) != wanted.get(key)):
        was_now = ((key, *(reprlib.repr(fields.get(key)) for fields in (stored, wanted))) for key in different[:5])
        shown = "; ".join(f"{key} was {was}, now {now}" for key, was, now in was_now)
        raise UserError(f"--workdir={workdir} belongs to another config ({shown}); use another workdir.")
    kept = load_text_tokenizer(workdir)
    if (kept.vocabulary, kept.normalization) != (text_tokenizer.vocabulary, text_tokenizer.normalization):
        raise UserError(
            f"tokenizer.text={config['tokenizer']['text']} is another tokenizer than {workdir / 'tokenizers' / 'text'}, "
            f"with which --workdir={workdir} was begun; name that one, or use another workdir."
        )
    if read_json(workdir / "config.json").get("dataset") != dataset:
        raise UserError(
            f"data.dir={config['data']['dir']} is another dataset than the one that --workdir={workdir} was begun with "
            f"(then {began.get('data', {}).get('dir')}); name that one or a copy of it, or use another workdir."
        )


def _decisive(config: Mapping) -> dict:
    """The fields, by their dotted names, that decide what a run learns."""
    changeable = tuple(f"{name}." for name in CHANGEABLE)
    return {name: value for name, value in flat(config).items() if not f"{name}.".startswith(changeable)}


def flat(tree: Mapping, prefix: str = "") -> dict:
    """A nested config as one mapping from dotted names to values."""
    fields = {}
    for key, value in tree.items():
        fields.update(flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return fields

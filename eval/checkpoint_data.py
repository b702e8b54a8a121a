"""The dataset that a checkpoint is evaluated on, and the one that it was trained on."""

import argparse
import functools
import pathlib
from collections.abc import Mapping

from data_pipelines.common.bucket import is_bucket
from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json
from data_pipelines.common.progress import print_status
from data_pipelines.protanno.dataset import STATISTICS, ProtAnno, open_dataset
from protclip_jax.checkpoints.metadata import load_text_tokenizer, read_config
from protclip_jax.config.schema import completed


def built_dataset(
    options: argparse.Namespace, checkpoint: pathlib.Path, *, names: str | None = None
) -> tuple[pathlib.Path, ProtAnno]:
    """The dataset that `--data_dir` names, else the checkpoint's own.

    Args:
      names: as in `with_names`; None for the names that the checkpoint's texts tell.

    Raises:
      UserError: no dataset is named and the checkpoint's own is not found from the working
        directory.
    """
    config = completed(read_config(checkpoint))
    trained_on, names = config["data"]["dir"], names or config["tokenizer"]["names"]
    if options.data_dir is not None and (options.data_dir / STATISTICS).exists():
        return options.data_dir, open_dataset(options.data_dir, names=names)
    if not trained_on:
        raise UserError(
            f"{options.checkpoint} does not say what it was trained on; pass --data_dir=DIR, "
            "a built dataset."
        )
    folder, fix = pathlib.Path(trained_on), "pass --data_dir=DIR, where it is now"
    if is_bucket(trained_on):
        return folder, open_dataset(trained_on, names=names)
    if not folder.is_absolute():
        fix += ", or start this command where training was started"
    if not folder.is_dir():
        raise UserError(
            f"{options.checkpoint} was trained on {folder.absolute()}, which does not exist; {fix}."
        )
    dataset = open_dataset(folder, names=names)
    if not is_own(checkpoint, folder, dataset):
        raise UserError(
            f"{folder.absolute()} is not the dataset that {options.checkpoint} was trained on; "
            f"{fix}."
        )
    return folder, dataset


def pretraining_data(options: argparse.Namespace, checkpoint: pathlib.Path) -> ProtAnno | None:
    """The dataset of the checkpoint's training, to find test proteins that it has seen.

    None, with a note, if the checkpoint does not name it or it is not available.

    Raises:
      UserError: `--pretrained_on` names another dataset.
    """
    config = completed(read_config(checkpoint))
    folder = options.pretrained_on or (
        config["data"]["dir"] and pathlib.Path(config["data"]["dir"])
    )
    fix = "pass --pretrained_on=DIR to leave proteins of its pretraining out"
    if folder is None:
        print_status(f"note: {options.checkpoint} does not say what it was trained on; {fix}.")
        return None
    if options.pretrained_on is None and not folder.is_dir():
        print_status(
            f"note: {options.checkpoint} was trained on {folder.absolute()}, which does not "
            f"exist; {fix}."
        )
        return None
    dataset = open_dataset(folder)
    if is_own(checkpoint, folder, dataset):
        return dataset
    if options.pretrained_on is not None:
        raise UserError(
            f"--pretrained_on={folder} is not the dataset that {options.checkpoint} was trained on."
        )
    print_status(
        f"note: {folder.absolute()} is not the dataset that {options.checkpoint} was trained on; "
        f"{fix}."
    )
    return None


def is_own(checkpoint: pathlib.Path, folder: pathlib.Path, dataset: ProtAnno) -> bool:
    """Whether the checkpoint was trained on the dataset in that folder.

    Compares fingerprints, or paths if the checkpoint has no fingerprint.
    """
    trained_on = completed(read_config(checkpoint))["data"]["dir"]
    if known := read_json(checkpoint / "config.json").get("dataset"):
        return dataset.fingerprint == known
    return bool(trained_on) and folder.resolve() == pathlib.Path(trained_on).resolve()


def as_read_by(checkpoint: pathlib.Path, config: Mapping, dataset: ProtAnno) -> ProtAnno:
    """The dataset, with texts compared by the tokens of the checkpoint's text tower, if any."""
    if not (checkpoint / "tokenizers" / "text").is_dir():
        return dataset
    limit = config["tokenizer"]["max_text_tokens"]
    return dataset._replace(
        text_key=functools.partial(load_text_tokenizer(checkpoint).key, max_tokens=limit)
    )

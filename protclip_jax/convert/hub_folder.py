"""What `convert to_hf` writes, taken as a checkpoint by whatever takes one."""

import atexit
import os
import pathlib
import tempfile

from data_pipelines.common.bucket import is_bucket
from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json
from protclip_jax.checkpoints.calibration_file import carried
from protclip_jax.checkpoints.local_copy import local_checkpoint
from protclip_jax.checkpoints.other_folders import EXPORTED
from protclip_jax.config import checks
from protclip_jax.convert.checkpoint import Checkpoint, write_checkpoint
from protclip_jax.convert.hf_folders import import_hf


def is_exported(checkpoint: str | os.PathLike) -> bool:
    """Whether a path names a folder that `to_hf` has written."""
    return not is_bucket(checkpoint) and (pathlib.Path(checkpoint) / EXPORTED).is_file()


def open_checkpoint(checkpoint: str | os.PathLike, step: str | int | None = None) -> pathlib.Path:
    """The folder of a checkpoint: of one in a bucket a copy, of an exported one a checkpoint made
    of it, until the end.

    Raises:
      UserError: the exported folder is incomplete or damaged, or as `local_checkpoint`.
      RunError: the bucket cannot be read, or the disk of temporary files is full.
    """
    if not is_exported(checkpoint):
        return local_checkpoint(checkpoint, step)
    temporary = tempfile.TemporaryDirectory(prefix="protclip-", ignore_cleanup_errors=True)
    atexit.register(temporary.cleanup)
    folder = pathlib.Path(temporary.name) / "checkpoint"
    with report_disk_errors(f"the temporary folder {tempfile.gettempdir()}"):
        write_checkpoint(read_exported(pathlib.Path(checkpoint)), folder)
    return folder


def read_exported(folder: pathlib.Path) -> Checkpoint:
    """The checkpoint that an export was made of, with the config of its training; it may be a
    stranger's.

    Raises:
      UserError: the folder is incomplete or damaged.
    """
    path = folder / EXPORTED
    made_from = read_json(path)
    stored, source = made_from.get("config"), made_from.get("source")
    if not isinstance(stored, dict) or not isinstance(source, dict):
        raise UserError(f"{path} is damaged: it holds no config and source; get the folder anew.")
    checks.check_present(stored, name=str(path))
    checks.require_model(stored, name=str(path))
    towers = {
        name: folder / name if (folder / name).is_dir() else None for name in ("protein", "text")
    }
    heads = folder / "heads.safetensors"
    read = import_hf(**towers, heads=heads if heads.is_file() else None)
    # The tensors say what shape the network has; all else is as it was trained.
    shape = {
        name: value
        for name, value in read.config["model"].items()
        if name not in ("dtype", "attention", "remat")
    }
    config = {
        **stored,
        "model": {
            **stored["model"],
            **shape,
            "prototype_temperature": stored["model"]["prototype_temperature"],
        },
    }
    return read._replace(
        config=config,
        source={"kind": "to_hf", "made_from": source, **read.source},
        calibration=carried(folder, 0),
    )

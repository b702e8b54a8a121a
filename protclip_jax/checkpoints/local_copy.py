"""`--checkpoint gs://bucket/run`: makes a local copy of the files needed from a bucket."""

import atexit
import os
import pathlib

from data_pipelines.common.bucket import bucket_folder, download, is_bucket, report_errors
from protclip_jax.checkpoints.best import resolve_step
from protclip_jax.checkpoints.bucket_workdir import new_copy_folder
from protclip_jax.checkpoints.checksums import CHECKSUMS, list_files
from protclip_jax.checkpoints.step_folders import CHECKPOINTS, METRICS

_READ = ("config.json", "metrics.jsonl", "mixture.json", "tokenizers/")
_OF_STEP = (f"/{CHECKSUMS}", f"/{METRICS}")


def local_checkpoint(checkpoint: str | os.PathLike, step: str | int | None = None) -> pathlib.Path:
    """Returns a checkpoint's folder; for a bucket, a copy that is kept until the process ends.

    The copy has the parameters of one step. Like those of any folder, they are checked against the
    seal when they are loaded.

    Raises:
      UserError: the path is not a `gs://` path, gcsfs is not installed, or the step does not exist.
      RunError: the bucket cannot be read.
    """
    if not is_bucket(checkpoint):
        return pathlib.Path(checkpoint)
    folder = bucket_folder(str(checkpoint))
    copy, remove = new_copy_folder(folder)
    atexit.register(remove)
    with report_errors(str(folder)):
        names = list_files(folder)
        small = [name for name in names if name.startswith(_READ) or name.endswith(_OF_STEP)]
        download(folder, small, copy)
        params = f"{CHECKPOINTS}/{resolve_step(copy, step)}/params/"
        download(folder, [name for name in names if name.startswith(params)], copy)
    return copy

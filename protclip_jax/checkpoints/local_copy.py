"""`--checkpoint gs://bucket/run`: a local copy of what a checkpoint in a bucket is read from."""

import atexit
import os
import pathlib

from protclip_jax.checkpoints.best import resolve_step
from protclip_jax.checkpoints.bucket import BucketFolder, is_bucket
from protclip_jax.checkpoints.bucket_workdir import CHECKPOINTS, make_step_folders, new_copy_folder
from protclip_jax.checkpoints.checksums import CHECKSUMS
from protclip_jax.checkpoints.step_folders import METRICS

_READ = ("config.json", "metrics.jsonl", "mixture.json", "tokenizers/")


def local_checkpoint(checkpoint: str | os.PathLike, step: str | int | None = None) -> pathlib.Path:
    """The folder of a checkpoint: of one in a bucket a copy, with the parameters of one step, until the process ends.

    Its parameters are checked against the seal when they are loaded, as those of any folder.

    Raises:
      UserError: the path is no `gs://` path, gcsfs is not installed, or there is no such step.
      RunError: the bucket cannot be read.
    """
    if not is_bucket(checkpoint):
        return pathlib.Path(checkpoint)
    bucket = BucketFolder(str(checkpoint))
    folder, remove = new_copy_folder(bucket)
    atexit.register(remove)
    names = bucket.sizes()
    make_step_folders(names, folder)
    of_steps = [name for path in folder.glob(f"{CHECKPOINTS}/*") for name in _names_of(path.name) if name in names]
    bucket.download([name for name in names if name.startswith(_READ)] + of_steps, folder)
    chosen = resolve_step(folder, step)
    bucket.download([name for name in names if name.startswith(f"{CHECKPOINTS}/{chosen}/params/")], folder)
    return folder


def _names_of(step: str) -> tuple[str, str]:
    return f"{CHECKPOINTS}/{step}/{CHECKSUMS}", f"{CHECKPOINTS}/{step}/{METRICS}"

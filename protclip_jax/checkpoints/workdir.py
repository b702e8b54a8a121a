"""A workdir, which `--checkpoint DIR` also names: config.json, tokenizers/, checkpoints/, lock."""

import contextlib
import fcntl
import pathlib
from collections.abc import Set
from typing import Self

import jax

from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints.other_folders import require_storable

WRITTEN = frozenset(
    {
        "checkpoints",
        "tokenizers",
        "metrics.jsonl",
        "tensorboard",
        "mixture.json",
        "faults",
        "profile",
    }
)
"""The files that a run writes besides config.json."""
KEPT = "it resumes from the last checkpoint"
"""What rerunning the command does after a failed run."""


class LocalWorkdir:
    """The files of a run, on a file system that all hosts see.

    `bucket_workdir.BucketWorkdir` has the same interface.

    Attributes:
      name: the path as the user gave it.
      folder: the folder to write into.
      checkpoints: the folder of the steps if it is not in `folder`.
    """

    checkpoints = None

    def __init__(self, name: str):
        self.name, self.folder = name, pathlib.Path(name)

    def begin(self) -> None:
        """Takes the workdir for this run, on the first host. Raises as `lock`."""
        self._lock = lock(self.folder) if jax.process_index() == 0 else None

    def share(self) -> None:
        """Does nothing: written files are already in place."""

    def keep(self, path: pathlib.Path) -> str:
        """Returns the path under which a new file is kept."""
        return str(path)

    def report_errors(self) -> contextlib.AbstractContextManager:
        """A context that turns errors of the disk into RunErrors."""
        return report_disk_errors(f"--workdir={self.name}", kept=KEPT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        pass


def lock(workdir: pathlib.Path):
    """Locks the workdir for this process; the operating system releases the lock when it ends.

    The workdir may be a link. Links inside it are refused, since in a workdir from somebody else
    they could lead anywhere.

    Raises:
      UserError: another process trains here, or the folder holds somebody else's files with the
        names of a run's, cannot be written, holds links, or has a path that Orbax cannot use.
    """
    require_storable(workdir)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if foreign := [
            path
            for path in workdir.iterdir()
            if path.is_symlink() or not (path.is_file() or path.is_dir())
        ]:
            raise UserError(
                f"{foreign[0]} is a link or not a regular file, which training does not write "
                "through; copy it."
            )
        refuse_foreign(str(workdir), {path.name for path in workdir.iterdir()}, mark="lock")
        handle = open(workdir / "lock", "a+")  # noqa: SIM115 - open for the life of the process
    except OSError as error:
        raise UserError(
            f"--workdir={workdir} cannot be written ({error.strerror}); choose another folder."
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(
            f"--workdir={workdir} is in use by another training process; stop it or choose "
            "another folder."
        ) from error
    except OSError as error:
        raise UserError(
            f"--workdir={workdir} cannot be locked ({error.strerror}); choose a folder on "
            "another disk."
        ) from error
    return handle


def refuse_foreign(workdir: str, names: Set[str], *, mark: str) -> None:
    """Refuses a folder that has files named like a run's, but lacks config.json and the mark.

    Raises:
      UserError: the folder has such files.
    """
    if not names & {"config.json", mark} and (foreign := sorted(names & WRITTEN)):
        raise UserError(
            f"--workdir={workdir} holds {foreign[0]}, which training would overwrite, but no "
            "config.json of a run; "
            "choose a new folder, or put that config.json back."
        )

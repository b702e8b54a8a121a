"""A workdir in a bucket (`train.py --workdir gs://bucket/run`), mirrored in a local folder.

Orbax writes `checkpoints/` to the bucket itself, with each host writing its own shards. Everything
else is written to a temporary folder, as in any workdir, since an object can neither be appended to
nor locked. Changed files are copied to the bucket as a whole before each checkpoint counts, and
when the run ends for any reason. So the metrics.jsonl of a bucket is never behind its checkpoints,
and what a killed run wrote after its last checkpoint is computed again.

Neither epath nor Orbax keeps two runs apart. Instead of taking a lock, a run writes its name into
the object `owner` and checks it before it saves: the workdir belongs to the process that began
last, and a process that finds another name ends.
"""

import contextlib
import os
import pathlib
import secrets
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Self

import jax
from etils import epath

from data_pipelines.common import bucket
from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import RunError, UserError
from protclip_jax.checkpoints import checksums
from protclip_jax.checkpoints.step_folders import CHECKPOINTS, complete_steps
from protclip_jax.checkpoints.workdir import KEPT, refuse_foreign

OWNER = "owner"
_NEEDED = ("config.json", "metrics.jsonl", "tokenizers/")
"""The files that a resumed run reads."""


class BucketWorkdir:
    """A `workdir.LocalWorkdir` in a bucket; all hosts construct one.

    Attributes:
      name: the `gs://` path.
      folder: the local folder of the small files, removed at the end.
      checkpoints: the folder of the steps.
    """

    def __init__(self, url: str):
        self._bucket = bucket.bucket_folder(url)
        self.name, self.checkpoints = str(self._bucket), self._bucket / CHECKPOINTS
        self.folder, self._remove_folder = new_copy_folder(self._bucket)
        self._id = f"{socket.gethostname()} (process {os.getpid()}, {secrets.token_hex(4)})"
        self._copied: set[tuple[str, int, int]] = set()
        self._copying = threading.Lock()
        self._begun = False

    def begin(self) -> None:
        """Takes the workdir for this run, and copies the files that a resumed run reads.

        Raises:
          UserError: the bucket cannot be used, or as `workdir.refuse_foreign`.
        """
        try:
            with bucket.report_errors(self.name):
                if jax.process_index() == 0:
                    names = {name.partition("/")[0] for name in checksums.list_files(self._bucket)}
                    refuse_foreign(self.name, names, mark=OWNER)
                    (self._bucket / OWNER).write_text(self._id)
                self._copy_what_is_needed()
        except RunError as error:
            raise UserError(f"--workdir={error}") from error
        self._copied = self._files()
        self._begun = True

    def _copy_what_is_needed(self) -> None:
        names = [name for name in checksums.list_files(self._bucket) if name.startswith(_NEEDED)]
        bucket.download(self._bucket, names, self.folder)
        # Empty folders represent the checkpoints.
        for step in complete_steps(self.checkpoints):
            for item in (self.checkpoints / str(step)).iterdir():
                (self.folder / CHECKPOINTS / str(step) / item.name).mkdir(parents=True)

    def _check_owner(self) -> None:
        """Raises RunError, on the first host, if another process has begun to use the workdir."""
        if jax.process_index() == 0 and (owner := (self._bucket / OWNER).read_text()) != self._id:
            taken = f"--workdir={self.name} was taken over by {owner}"
            raise RunError(f"{taken}; this run ends and leaves the workdir to that process.")

    def share(self) -> None:
        """Copies changed files to the bucket.

        Raises:
          RunError: another run has the workdir, or the local folder is gone.
        """
        self._check_owner()
        if not self.folder.is_dir():
            raise RunError(
                f"this run's folder in {tempfile.gettempdir()} was removed; set TMPDIR to a "
                f"folder that is not cleaned up, then rerun the command: {KEPT}."
            )
        with self._copying:
            for file in self._files() - self._copied:
                (self._bucket / file[0]).write_bytes((self.folder / file[0]).read_bytes())
                self._copied.add(file)

    def keep(self, path: pathlib.Path) -> str:
        """Copies a new file to the bucket, along with everything else that has changed."""
        self.share()
        return f"{self.name}/{path.relative_to(self.folder).as_posix()}"

    @contextlib.contextmanager
    def report_errors(self) -> Iterator[None]:
        """A context in which errors of the bucket or the local disk become RunErrors."""
        try:
            with (
                report_disk_errors(f"the temporary folder {tempfile.gettempdir()}", kept=KEPT),
                bucket.report_errors(f"--workdir={self.name}", kept=KEPT),
            ):
                yield
        except RunError:
            # Another run may have removed files; that shows here before the owner is checked.
            with bucket.report_errors(f"--workdir={self.name}", kept=KEPT):
                self._check_owner()
            raise

    def _files(self) -> set[tuple[str, int, int]]:
        """Name, size and time of the last change of every local file."""
        files = set()
        for path in self.folder.rglob("*"):
            # The run continues during the listing: unfinished files are renamed and may disappear.
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                if stat.S_ISREG(state.st_mode) and path.suffix != ".partial":
                    name = path.relative_to(self.folder).as_posix()
                    files.add((name, state.st_size, state.st_mtime_ns))
        return files

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind, error, traceback) -> None:
        try:
            if self._begun:
                # A failed run has reported its reason, which may be the bucket itself.
                ignored = (RunError,) if error else ()
                with contextlib.suppress(*ignored), self.report_errors():
                    self.share()
        finally:
            self._remove_folder()
        if isinstance(error, UserError | RunError) and str(self.folder) in str(error):
            raise type(error)(str(error).replace(str(self.folder), self.name)) from error


def new_copy_folder(folder: epath.Path) -> tuple[pathlib.Path, Callable[[], None]]:
    """A new temporary folder whose path ends with the bucket's, and a function that removes it.

    Messages then show the bucket's path.
    """
    temporary = tempfile.TemporaryDirectory(prefix="protclip-", ignore_cleanup_errors=True)
    path = pathlib.Path(temporary.name) / str(folder).removeprefix(bucket.SCHEME)
    path.mkdir(parents=True)
    return path, temporary.cleanup

"""A workdir in a bucket, `train.py --workdir gs://bucket/run`: its small files are kept in a local folder and copied.

`checkpoints/` is written there by Orbax itself, by every host its own shards. All else is written as in any workdir, into a
temporary folder, since an object can neither be appended to nor locked; what changed is copied to the bucket, whole, before
each checkpoint counts as one, and at the end of the run, whatever ends it. So the metrics.jsonl of a bucket is never behind its
checkpoints, and what a killed run wrote after its last one is computed again.

In the place of a lock, a run leaves its name in the object `owner`, and looks for it before it changes anything: the last
process to begin has the workdir, and one that finds another's name ends.
"""

import contextlib
import os
import pathlib
import secrets
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Self

import jax

from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import RunError, UserError
from protclip_jax.checkpoints import bucket
from protclip_jax.checkpoints.bucket import SCHEME, BucketFolder
from protclip_jax.checkpoints.step_folders import BucketSteps, complete_steps
from protclip_jax.checkpoints.workdir import KEPT

OWNER = "owner"
CHECKPOINTS = "checkpoints"
_NEEDED = ("config.json", "metrics.jsonl", "tokenizers/")
"""What a run that goes on reads."""


class _TakenOver(RunError):
    """Another process has the workdir."""


class BucketWorkdir:
    """As `workdir.LocalWorkdir`, in a bucket; all hosts make one.

    Attributes:
      name: the `gs://` path.
      folder: the local folder of the small files, removed at the end.
      steps: where checkpoints lie.
    """

    def __init__(self, url: str):
        self._bucket = BucketFolder(url)
        self.name = str(self._bucket)
        self.folder, self._remove_folder = new_copy_folder(self._bucket)
        self.steps = BucketSteps(self._bucket / CHECKPOINTS, self._check_owner)
        self._id = f"{socket.gethostname()} (process {os.getpid()}, {secrets.token_hex(4)})"
        self._copied: dict[str, tuple[int, int]] = {}
        self._copying = threading.Lock()
        self._begun = False

    def begin(self) -> None:
        """Takes the workdir for this run, and copies from it what a run that goes on reads.

        Raises:
          UserError: the bucket cannot be used.
        """
        try:
            if jax.process_index() == 0:
                self._bucket.write(OWNER, self._id.encode())
            names = self._bucket.sizes()
            make_step_folders(names, self.folder)
            self._bucket.download([name for name in names if name.startswith(_NEEDED)], self.folder)
        except RunError as error:
            raise UserError(f"--workdir={error}") from error
        self._copied = self._states()
        self._begun = True

    def _check_owner(self) -> None:
        """Raises RunError, on the first host, where another process has begun to use the workdir."""
        if jax.process_index() == 0 and (owner := self._bucket.read(OWNER)) != self._id.encode():
            other = (owner or b"another process").decode(errors="replace")
            raise _TakenOver(f"--workdir={self.name} was taken over by {other}; this run ends and leaves it to that one.")

    def share(self) -> None:
        """Copies what has changed to the bucket. Raises RunError where the local folder is gone: its files would be missing."""
        self._check_owner()
        if not self.folder.is_dir():
            raise RunError(
                f"this run's folder in {tempfile.gettempdir()} was removed; "
                f"set TMPDIR to a place that nobody tidies, then run the same line again: {KEPT}."
            )
        with self._copying:
            for name, state in self._states().items():
                if self._copied.get(name) != state:
                    self._bucket.upload(self.folder / name, name)
                    self._copied[name] = state

    def keep(self, path: pathlib.Path) -> str:
        """Copies a new file to the bucket, with whatever else has changed; where it is there."""
        self.share()
        return f"{self.name}/{path.relative_to(self.folder).as_posix()}"

    @contextlib.contextmanager
    def report_errors(self) -> Iterator[None]:
        """Within it, what the bucket or the disk of the local folder refuses is a RunError."""
        try:
            with (
                report_disk_errors(f"the temporary folder {tempfile.gettempdir()}", kept=KEPT),
                bucket.report_errors(f"--workdir={self.name}", kept=KEPT),
            ):
                yield
        except RunError as error:
            # What another process removes is missed here, perhaps before it is asked whose the workdir is.
            try:
                self._check_owner()
            except _TakenOver as reason:
                raise reason from error
            except RunError:
                raise error from None
            raise

    def _states(self) -> Mapping[str, tuple[int, int]]:
        """The size and the time of change of every local file, by its name."""
        states = {}
        for path in self.folder.rglob("*"):
            # The run goes on meanwhile: what it has not finished is renamed, and may be gone.
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                if stat.S_ISREG(state.st_mode) and path.suffix != ".partial":
                    states[path.relative_to(self.folder).as_posix()] = (state.st_size, state.st_mtime_ns)
        return states

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind, error, traceback) -> None:
        try:
            if self._begun:
                # A run that failed has said why, and what it is that fails may be the bucket.
                with contextlib.suppress(RunError) if error else contextlib.nullcontext():
                    self.share()
        finally:
            self._remove_folder()
        if isinstance(error, UserError | RunError) and str(self.folder) in str(error):
            raise type(error)(str(error).replace(str(self.folder), self.name)) from error


def new_copy_folder(folder: BucketFolder) -> tuple[pathlib.Path, Callable[[], None]]:
    """A new temporary folder, whose path ends with the bucket's, for messages to name it; and what removes it."""
    temporary = tempfile.TemporaryDirectory(prefix="protclip-", ignore_cleanup_errors=True)
    path = pathlib.Path(temporary.name) / folder.url.removeprefix(SCHEME)
    path.mkdir(parents=True)
    return path, temporary.cleanup


def make_step_folders(names: Mapping[str, int], folder: pathlib.Path) -> None:
    """Makes the folders of complete steps, all empty, by which it is known what the checkpoints hold."""
    prefix = f"{CHECKPOINTS}/"
    complete = complete_steps(name.removeprefix(prefix) for name in names if name.startswith(prefix))
    for name in names:
        step, _, rest = name.removeprefix(prefix).partition("/")
        if name.startswith(prefix) and step.isdecimal() and int(step) in complete:
            (folder / CHECKPOINTS / step / rest).parent.mkdir(parents=True, exist_ok=True)

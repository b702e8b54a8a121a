"""Safe creation of a command's outputs: refuse existing files, lock, clean up only our own.

While OUTPUT is being made, everything lies in the folder `OUTPUT.partial` beside it. A file named
`MARK` inside identifies the folder as this program's; the writing process locks it. The operating
system releases the lock when the process ends. OUTPUT gets its name when it is complete. A killed
run leaves `OUTPUT.partial` behind, and the next run takes it over.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_pipelines.common.disk_errors import disk_error, report_disk_errors
from data_pipelines.common.errors import UserError, require_utf8

MARK, MADE = "protclip.lock", "protclip.output"
"""The lock file, and the name of a folder until it is complete.

The latter also identifies the folder as ours: a library may keep writing there for a moment after
its run has failed and removed everything.
"""


def refuse_existing(outputs: Sequence[Path]) -> None:
    """Raises UserError if an output already exists, even as a dangling symbolic link."""
    for path in outputs:
        if os.path.lexists(path):
            raise UserError(f"{path} exists; remove it or choose another --output.")


@contextlib.contextmanager
def claim(output: Path) -> Iterator[Path]:
    """Creates or takes over `OUTPUT.partial`, with the leftovers of a killed run, and locks it.

    The folder stays at the end unless `release` is called.

    Raises:
      UserError: the folder cannot be created or locked, is not this program's, or is in use by
        another process.
      RunError: the disk is full.
    """
    require_utf8(output)
    folder = output.with_name(output.name + ".partial")
    try:
        _refuse_foreign(folder, output)
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / MARK, "a")  # noqa: SIM115 - closed below
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_error(error, output) from error
        raise UserError(
            f"{folder} cannot be created ({error.strerror}); choose another --output."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _busy(output) from error
        except OSError as error:
            raise UserError(
                f"{folder} cannot be locked ({error.strerror}); put --output on a local disk."
            ) from error
        if not _is_linked(lock, folder / MARK):
            # The run that owned the folder has just removed it.
            raise _busy(output)
        yield folder


def release(folder: Path) -> None:
    """Removes a claimed folder, its mark last, so an interrupted removal stays recognizable."""
    clear(folder)
    # A process that outlives its run may still write there, and another run may claim the folder
    # right now.
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == [MARK]:
            (folder / MARK).unlink()
            folder.rmdir()


def clear(folder: Path) -> None:
    """Removes the contents of a claimed folder except its mark."""
    for path in folder.iterdir():
        if path.name == MARK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


@contextlib.contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Yields a folder to build in; renames it to `output` on success and removes it on failure.

    Raises:
      UserError: `output` exists and is not an empty folder, or as in `claim`.
      RunError: a disk error occurs while writing.
    """
    output = output.resolve()
    _refuse_filled(output)
    with claim(output) as partial:
        try:
            with report_disk_errors(output):
                clear(partial)
                made = partial / MADE
                made.mkdir()
                yield made
                try:
                    made.rename(output)
                except OSError as error:
                    if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                        _refuse_filled(output)
                    raise
        finally:
            release(partial)


@contextlib.contextmanager
def new_files(outputs: Sequence[Path]) -> Iterator[list[Path]]:
    """Yields a temporary path for each output; renames all of them together on success.

    Creates parent folders. On failure nothing is left.

    Raises:
      UserError: an output exists, or as in `claim` for the first one.
      RunError: a disk error occurs while writing.
    """
    refuse_existing(outputs)
    with claim(outputs[0]) as partial:
        try:
            with report_disk_errors(outputs[0]):
                clear(partial)
                written = [partial / path.name for path in outputs]
                yield written
                for path in written:
                    _flush(path)
                refuse_existing(outputs)
                for path, output in zip(written, outputs, strict=True):
                    os.replace(path, output)
        finally:
            release(partial)


@contextlib.contextmanager
def new_file(output: Path) -> Iterator[Path]:
    """`new_files` for a single file."""
    with new_files([output]) as (path,):
        yield path


def _refuse_foreign(folder: Path, output: Path) -> None:
    """Raises UserError if `folder` is not a folder, or holds files but no mark of ours."""
    if not os.path.lexists(folder):
        return
    is_folder = folder.is_dir() and not folder.is_symlink()
    is_ours = (folder / MARK).is_file() or (folder / MADE).is_dir()
    if not is_folder or (any(folder.iterdir()) and not is_ours):
        raise UserError(
            f"{folder} is in the way: {output.name} is built under that name, and this program "
            "did not create it; rename it or choose another --output."
        )


def _refuse_filled(output: Path) -> None:
    """Raises UserError unless `output` is absent or an empty folder."""
    if os.path.lexists(output) and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"{output} exists and is not empty; remove it or choose another --output.")


def _busy(output: Path) -> UserError:
    return UserError(
        f"{output} is being written by another run; wait for it, or choose another --output."
    )


def _is_linked(file, path: Path) -> bool:
    """Whether an open file still exists under this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _flush(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())

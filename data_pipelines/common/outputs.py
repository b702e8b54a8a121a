"""What a command writes: it refuses what exists, locks what it is making, and removes only what
carries its mark.

While OUTPUT is being made, everything lies in the folder `OUTPUT.partial` beside it. The file
`MARK` in it says that the folder is this program's, and is locked by the process that writes there;
the lock is the operating system's and ends with the process. OUTPUT appears under its name when
it is complete. A killed run leaves `OUTPUT.partial`, which the next one takes over.
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
"""The mark, and what a folder is called until it gets its name: a mark too, as a library may go on
writing there for a moment after its run has failed and removed everything."""


def refuse_existing(outputs: Sequence[Path]) -> None:
    """Raises UserError where an output exists already, be it a link that leads nowhere."""
    for path in outputs:
        if os.path.lexists(path):
            raise UserError(f"{path} exists; remove it or name another --output.")


@contextlib.contextmanager
def claim(output: Path) -> Iterator[Path]:
    """The folder `OUTPUT.partial`, locked for this process, with what a killed run has left there.

    It stays at the end unless `release` is called.

    Raises:
      UserError: the folder cannot be made or locked, is not this program's, or another process has
        it.
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
            f"{folder} cannot be made ({error.strerror}); name another --output."
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
            # The run that had it has just removed it.
            raise _busy(output)
        yield folder


def release(folder: Path) -> None:
    """Removes a claimed folder, its mark last: what remains of it, if that is cut off, is still
    known as this program's."""
    clear(folder)
    # A process that outlives its run may still write there, and another run may claim it at this
    # moment.
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == [MARK]:
            (folder / MARK).unlink()
            folder.rmdir()


def clear(folder: Path) -> None:
    """Removes what lies in a claimed folder, but for its mark."""
    for path in folder.iterdir():
        if path.name == MARK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


@contextlib.contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """A folder to build in, which becomes `output` when the context ends well and is removed when
    it fails.

    Raises:
      UserError: `output` exists and is no empty folder, or as `claim`.
      RunError: the disk does not take what is written.
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
    """A path to write each of some files to, which get their names together when the context ends
    well.

    Their folders are made. If the context fails nothing is left.

    Raises:
      UserError: one of them exists, or as `claim` of the first one.
      RunError: the disk does not take what is written.
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
    """`new_files` of a single one."""
    with new_files([output]) as (path,):
        yield path


def _refuse_foreign(folder: Path, output: Path) -> None:
    """Raises UserError for a folder that holds something and no mark, or for what is no folder."""
    if not os.path.lexists(folder):
        return
    is_folder = folder.is_dir() and not folder.is_symlink()
    is_ours = (folder / MARK).is_file() or (folder / MADE).is_dir()
    if not is_folder or (any(folder.iterdir()) and not is_ours):
        raise UserError(
            f"{folder} is in the way: {output.name} is made under that name, and this "
            "program did not write what is there; "
            "rename it, or name another --output."
        )


def _refuse_filled(output: Path) -> None:
    """Raises UserError unless `output` is absent or an empty folder."""
    if os.path.lexists(output) and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"{output} exists and is not empty; remove it or name another --output.")


def _busy(output: Path) -> UserError:
    return UserError(
        f"{output} is being written by another run; wait for it, or name another --output."
    )


def _is_linked(file, path: Path) -> bool:
    """Whether an open file still has that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _flush(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())

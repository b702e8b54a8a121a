"""Folders in a bucket of Google Cloud Storage, `gs://bucket/run`: paths of epath, which uses gcsfs.

gcsfs and TensorStore retry what fails for a while (408, 429, 5xx, a broken connection).
"""

import contextlib
import os
import pathlib
import re
from collections.abc import Collection, Iterator

import fsspec
from etils import epath

from data_pipelines.common.errors import RunError, UserError
from data_pipelines.common.extras import missing_extra

SCHEME = "gs://"
_URL = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[^/?#*\[\]]+)*/?")
_LIBRARIES = ("aiohttp", "fsspec", "gcsfs", "google", "requests")
_REFUSED = re.compile(r"Forbidden|PERMISSION_DENIED|UNAUTHENTICATED|Invalid Credentials|\b40[13]\b")


def is_bucket(path: str | os.PathLike) -> bool:
    """Whether a path on the command line names an object store; pathlib makes one slash of two."""
    return re.match(r"[a-z][a-z0-9]+:/", str(path)) is not None


def bucket_folder(url: str) -> epath.Path:
    """The folder in a bucket that `url` names.

    Raises:
      UserError: `url` names no folder in a bucket, or gcsfs is not installed.
    """
    if not _URL.fullmatch(url):
        raise UserError(f"{url} names no folder in a bucket; name one as gs://bucket/folder.")
    # Otherwise epath imports TensorFlow if it finds it, and gcsfs asks each bucket for its kind.
    os.environ.setdefault("EPATH_USE_TF", "false")
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    try:
        import gcsfs  # noqa: F401 - imported here to report its absence
    except ImportError as error:
        raise missing_extra(f"{SCHEME} paths need gcsfs", "gcs", error) from error
    # Other hosts write what this one lists.
    fsspec.config.conf.setdefault("gcs", {})["use_listings_cache"] = False
    return epath.Path(url.rstrip("/"))


def file_sizes(folder: epath.Path) -> dict[str, int]:
    """The bytes of each file of a folder, by its name; empty where there is no such folder."""
    system, root = fsspec.url_to_fs(os.fspath(folder))
    found = system.find(root, maxdepth=1, detail=True)
    return {path.rpartition("/")[2]: about["size"] for path, about in found.items()}


def download_file(url: str, target: pathlib.Path) -> None:
    """Copies one file."""
    system, path = fsspec.url_to_fs(url)
    system.get_file(path, str(target))


def download(folder: epath.Path, names: Collection[str], target: pathlib.Path) -> None:
    """Copies the files of these names from a folder into another, several at once."""
    system, root = fsspec.url_to_fs(os.fspath(folder))
    system.get([f"{root}/{name}" for name in names], [f"{target}/{name}" for name in names])


@contextlib.contextmanager
def report_errors(name: str, *, kept: str = "") -> Iterator[None]:
    """Raises a RunError that names the folder and the reason for what gcsfs and TensorStore raise.

    `kept` says what another run of the same command begins with.
    """
    try:
        yield
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        raise RunError(
            f"{name} cannot be used ({reason}){kept and f'; run the same line again: {kept}'}."
        ) from error


def _reason(error: Exception) -> str | None:
    """A few words; None for what has nothing to do with a bucket."""
    text = " ".join(str(error).split())
    of_store = (
        type(error).__module__.partition(".")[0] in _LIBRARIES
        or "gs://" in text
        or "/storage/v1/" in text
    )
    # gcsfs names objects that are missing, in the way or forbidden without a scheme; the system's
    # own errors have a number.
    of_object = isinstance(error, OSError) and error.errno is None
    of_object &= (
        isinstance(error, FileNotFoundError | FileExistsError) or _REFUSED.search(text) is not None
    )
    if isinstance(error, UserError | RunError) or not (of_store or of_object):
        return None
    if _REFUSED.search(text):
        return "no permission to read and write objects there; see docs/tpu.md"
    if isinstance(error, FileNotFoundError):
        return "there is no such bucket, or something in it was removed"
    return text.partition(" [source locations")[0][:200] or type(error).__name__

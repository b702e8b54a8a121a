"""Google Cloud Storage folders (`gs://bucket/run`) as epath paths, which use gcsfs.

gcsfs and TensorStore retry transient failures (408, 429, 5xx, broken connections) for a while.
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
    """Whether a path names an object store; pathlib turns `gs://` into `gs:/`."""
    return re.match(r"[a-z][a-z0-9]+:/", str(path)) is not None


def bucket_folder(url: str) -> epath.Path:
    """Returns the bucket folder that `url` names.

    Raises:
      UserError: `url` is not a folder in a bucket, or gcsfs is not installed.
    """
    if not _URL.fullmatch(url):
        raise UserError(f"{url} is not a bucket folder; expected gs://bucket/folder.")
    # By default epath imports TensorFlow if installed, and gcsfs queries each bucket's type.
    os.environ.setdefault("EPATH_USE_TF", "false")
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    try:
        import gcsfs  # noqa: F401 - imported here to report its absence
    except ImportError as error:
        raise missing_extra(f"{SCHEME} paths need gcsfs", "gcs", error) from error
    # Other hosts write the files listed here, so a cached listing would be out of date.
    fsspec.config.conf.setdefault("gcs", {})["use_listings_cache"] = False
    return epath.Path(url.rstrip("/"))


def file_sizes(folder: epath.Path) -> dict[str, int]:
    """Maps each file name in a folder to its size in bytes; empty if the folder does not exist."""
    system, root = fsspec.url_to_fs(os.fspath(folder))
    found = system.find(root, maxdepth=1, detail=True)
    return {path.rpartition("/")[2]: about["size"] for path, about in found.items()}


def download_file(url: str, target: pathlib.Path) -> None:
    """Copies one file from a bucket."""
    system, path = fsspec.url_to_fs(url)
    system.get_file(path, str(target))


def download(folder: epath.Path, names: Collection[str], target: pathlib.Path) -> None:
    """Copies the named files from one folder to another, several at once."""
    system, root = fsspec.url_to_fs(os.fspath(folder))
    sources = [f"{root}/{name}" for name in names]
    system.get(sources, [f"{target}/{name}" for name in names])


@contextlib.contextmanager
def report_errors(name: str, *, kept: str = "") -> Iterator[None]:
    """Turns errors from gcsfs and TensorStore into a RunError that names the folder and the cause.

    `kept` says where a rerun of the same command resumes.
    """
    try:
        yield
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        rerun = f"; rerun the command: {kept}" if kept else ""
        raise RunError(f"{name} cannot be used ({reason}){rerun}.") from error


def _reason(error: Exception) -> str | None:
    """Describes a bucket error in a few words; None if the error is unrelated to a bucket."""
    text = " ".join(str(error).split())
    of_store = (
        type(error).__module__.partition(".")[0] in _LIBRARIES
        or "gs://" in text
        or "/storage/v1/" in text
    )
    # gcsfs reports missing, existing or forbidden objects without a scheme in the name. Errors from
    # the operating system have an errno.
    of_object = isinstance(error, OSError) and error.errno is None
    of_object &= (
        isinstance(error, FileNotFoundError | FileExistsError) or _REFUSED.search(text) is not None
    )
    if isinstance(error, UserError | RunError) or not (of_store or of_object):
        return None
    if _REFUSED.search(text):
        return "no permission to read and write objects there; see docs/tpu.md"
    if isinstance(error, FileNotFoundError):
        return "the bucket does not exist, or something in it was removed"
    return text.partition(" [source locations")[0][:200] or type(error).__name__

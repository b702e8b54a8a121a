"""Datasets in a bucket, `data.dir=gs://bucket/protanno`: copies the files to local disk first.

Training draws records at random, and each would need its own request. So the files of the splits in
use are copied whole, once for all processes and runs on the machine. Copies stay in `cache_root()`.
"""

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

from data_pipelines.common import bucket
from data_pipelines.common.atomic_write import atomic_path
from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import byte_progress, print_status

CACHE = "PROTCLIP_CACHE"
_AT_ONCE = 8


def cache_root() -> Path:
    """The folder for copies: PROTCLIP_CACHE, else `protclip` in the user's cache folder."""
    users = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(CACHE) or Path(users) / "protclip")


class BucketDataset:
    """A dataset folder in a bucket.

    Attributes:
      url: its `gs://` path.
      folder: the local folder, with the small files only until shards are copied.
    """

    def __init__(self, url: str, names: Sequence[str]):
        """Copies those of the files `names` that exist; they describe the dataset.

        Raises:
          UserError: gcsfs is not installed, or the folder does not exist.
          RunError: the bucket or the local folder cannot be used.
        """
        self.url = url.rstrip("/")
        source = bucket.bucket_folder(self.url)
        with bucket.report_errors(f"data.dir={self.url}"), report_disk_errors(cache_root()):
            self.sizes = bucket.file_sizes(source)
            if not self.sizes:
                raise UserError(
                    f"the dataset folder {self.url} does not exist or is empty; "
                    "copy a dataset there first."
                )
            described = [name for name in names if name in self.sizes]
            with tempfile.TemporaryDirectory() as copied:
                bucket.download(source, described, Path(copied))
                texts = {name: (Path(copied) / name).read_bytes() for name in described}
            self.folder = _folder_of(self.url, texts)
            for name, text in texts.items():
                with atomic_path(self.folder / name) as partial:
                    partial.write_bytes(text)


def _folder_of(url: str, texts: dict[str, bytes]) -> Path:
    """Returns the local folder for a dataset; it depends on the content, not only on the URL."""
    digest = hashlib.sha256(repr((url, sorted(texts.items()))).encode()).hexdigest()
    folder = cache_root() / "datasets" / digest[:32]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def copy_files(url: str, paths: Sequence[Path], sizes: dict[str, int]) -> None:
    """Copies the missing files of a dataset to their local folder and prints their size.

    Several processes may call this at once; one of them copies each file.

    Raises:
      RunError: the bucket cannot be read, or the disk is full.
    """
    missing = [path for path in paths if not _is_there(path, sizes)]
    if not missing:
        return
    total = sum(sizes[path.name] for path in missing)
    print_status(f"copying {len(missing)} files from {url} to {missing[0].parent}")
    with (
        bucket.report_errors(url, kept="copied files are kept"),
        report_disk_errors(missing[0].parent, kept="copied files are kept"),
        byte_progress(description="copy", total=total) as bar,
        _cancelled_pool() as pool,
    ):
        for size in pool.map(lambda path: _copy(url, path, sizes), missing):
            bar.update(size)


@contextlib.contextmanager
def _cancelled_pool() -> Iterator[ThreadPoolExecutor]:
    """A thread pool that starts no further tasks once one has failed."""
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _copy(url: str, path: Path, sizes: dict[str, int]) -> int:
    with _locked(path):
        if not _is_there(path, sizes):
            with atomic_path(path) as partial:
                bucket.download_file(f"{url}/{path.name}", partial)
    return sizes[path.name]


def _is_there(path: Path, sizes: dict[str, int]) -> bool:
    return path.exists() and path.stat().st_size == sizes[path.name]


def _locked(path: Path) -> TextIO:
    """Locks a file so that one process at a time copies it; the lock ends with the process."""
    lock = open(path.with_name(f"{path.name}.lock"), "a")  # noqa: SIM115 - the context closes it
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock

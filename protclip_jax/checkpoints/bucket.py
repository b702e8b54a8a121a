"""Folders in a bucket of Google Cloud Storage, `gs://bucket/run`, read and written through gcsfs.

An object store has neither folders nor renaming nor appending: objects are written whole, and seen when they are complete.
gcsfs and TensorStore ask again by themselves for what failed for a while (408, 429, 5xx, a broken connection).
"""

import contextlib
import functools
import hashlib
import os
import pathlib
import re
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor

from data_pipelines.common.errors import RunError, UserError

SCHEME = "gs://"
_URL = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[^/?#*\[\]]+)*/?")
_AT_ONCE, _READ_BYTES = 8, 32 << 20
_LIBRARIES = ("aiohttp", "fsspec", "gcsfs", "google", "requests")
_REFUSED = re.compile(r"Forbidden|PERMISSION_DENIED|UNAUTHENTICATED|Invalid Credentials|\b40[13]\b")


def is_bucket(path: str | os.PathLike) -> bool:
    """Whether a path on the command line names an object store; pathlib makes one slash of two."""
    return re.match(r"[a-z][a-z0-9]+:/", str(path)) is not None


@functools.cache
def file_system():
    """The file system of gcsfs, which Orbax then uses too."""
    # Without it gcsfs would ask of every bucket, through gRPC, whether it is of a kind that needs gRPC.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    try:
        import fsspec
        import gcsfs  # noqa: F401 - asked for here, so that its absence is told in a sentence
    except ImportError as error:
        raise UserError(f"{SCHEME} paths need gcsfs ({error}); `pip install 'protclip-jax[gcs]'` brings it.") from error
    # Other hosts write what this one lists.
    fsspec.config.conf.setdefault("gcs", {})["use_listings_cache"] = False
    return fsspec.filesystem("gcs", finalize_on_close=True)


class BucketFolder:
    """A folder in a bucket. Names are those below it, such as `checkpoints/3/SHA256SUMS`.

    Methods raise `RunError` where the bucket cannot be used.
    """

    def __init__(self, url: str):
        if not _URL.fullmatch(url):
            raise UserError(f"{url} is no folder in a bucket; name one as gs://bucket/folder.")
        self.url = url.rstrip("/")
        self._files = file_system()

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str | int) -> "BucketFolder":
        return BucketFolder(f"{self.url}/{name}")

    def sizes(self) -> dict[str, int]:
        """The bytes of every object, by its name."""
        prefix = f"{self.url.removeprefix(SCHEME)}/"
        with report_errors(self.url):
            found = self._files.find(prefix, detail=True)
        names = {path.removeprefix(prefix): about["size"] for path, about in found.items() if path.startswith(prefix)}
        # Some programs mark folders by empty objects of such a name.
        return {name: size for name, size in names.items() if name and not name.endswith("/")}

    def read(self, name: str) -> bytes | None:
        """An object's content, None where there is no such object."""
        with report_errors(self.url):
            try:
                return self._files.cat_file(f"{self.url}/{name}")
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Writes an object."""
        with report_errors(self.url):
            self._files.pipe_file(f"{self.url}/{name}", content)

    def upload(self, path: pathlib.Path, name: str) -> None:
        """Writes an object from a file, as it is at this moment."""
        with report_errors(self.url):
            self._files.put_file(str(path), f"{self.url}/{name}")

    def download(self, names: Collection[str], folder: pathlib.Path) -> None:
        """Copies objects into a folder, under their names."""
        with report_errors(self.url), ThreadPoolExecutor(_AT_ONCE) as pool:
            for path in {(folder / name).parent for name in names}:
                path.mkdir(parents=True, exist_ok=True)
            # Its results are asked for, and so its exceptions raised.
            list(pool.map(lambda name: self._files.get_file(f"{self.url}/{name}", str(folder / name)), names))

    def digests(self, names: Collection[str]) -> dict[str, str]:
        """The SHA-256 of some objects, by their names; each is read once, and not kept."""
        with report_errors(self.url), ThreadPoolExecutor(_AT_ONCE) as pool:
            return dict(zip(names, pool.map(self._digest, names), strict=True))

    def _digest(self, name: str) -> str:
        with self._files.open(f"{self.url}/{name}", "rb", block_size=_READ_BYTES, cache_type="readahead") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def copy(self, target: "BucketFolder") -> None:
        """Copies every object within the store."""
        with report_errors(self.url):
            for name in self.sizes():
                self._files.cp_file(f"{self.url}/{name}", f"{target.url}/{name}")

    def remove(self, names: Collection[str]) -> None:
        """Removes objects; those that are gone already count as removed."""
        with report_errors(self.url), ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._remove, names))

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(f"{self.url}/{name}")


@contextlib.contextmanager
def report_errors(name: str, *, kept: str = "") -> Iterator[None]:
    """Makes a RunError, which names the folder and the reason, of what gcsfs and TensorStore raise when a bucket fails them.

    `kept` tells what another run of the same line begins with.
    """
    try:
        yield
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        raise RunError(f"{name} cannot be used ({reason}){kept and f'; run the same line again: {kept}'}.") from error


def _reason(error: Exception) -> str | None:
    """A few words; None for what has nothing to do with a bucket."""
    text = " ".join(str(error).split())
    of_store = type(error).__module__.partition(".")[0] in _LIBRARIES or "gs://" in text or "/storage/v1/" in text
    # gcsfs tells of objects that are missing, in the way or forbidden without a scheme; the system's own errors have a number.
    of_object = isinstance(error, OSError) and error.errno is None
    of_object &= isinstance(error, FileNotFoundError | FileExistsError) or _REFUSED.search(text) is not None
    if isinstance(error, UserError | RunError) or not (of_store or of_object):
        return None
    if _REFUSED.search(text):
        return "no permission to read and write objects there; see docs/tpu.md"
    if isinstance(error, FileNotFoundError):
        return "there is no such bucket, or something in it was removed"
    return text.partition(" [source locations")[0][:200] or type(error).__name__

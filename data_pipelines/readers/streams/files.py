"""Opening source files, plain or gzip, so that a missing, truncated or foreign file is one clear sentence."""

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from data_pipelines.common.errors import UserError

_GZIP_MAGIC = b"\x1f\x8b"


@contextlib.contextmanager
def open_bytes(path: str | Path) -> Iterator[BinaryIO]:
    """A binary stream of the file's content; gzip is known by its first bytes, not by the name.

    Raises:
      UserError: the file cannot be read or, at any time while the context is open, its gzip data are cut off or damaged.
    """
    try:
        with open(path, "rb") as raw:
            compressed = raw.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
            if not compressed and Path(path).suffix == ".gz":
                raise gzip.BadGzipFile("Not a gzipped file")
            with gzip.GzipFile(fileobj=raw) if compressed else raw as content:
                yield content
    except EOFError as error:
        raise UserError(f"{path} is cut off: its gzip data end early; fetch the file again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} is no sound gzip file ({error}); fetch it again, or drop .gz from a plain file.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); check the path.") from error

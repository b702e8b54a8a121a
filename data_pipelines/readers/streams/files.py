"""Opening source files, plain or gzip, so that a missing, truncated or foreign file is one clear
sentence."""

import contextlib
import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from data_pipelines.common.errors import UserError
from data_pipelines.readers.streams.reading_progress import watched

_GZIP_MAGIC = b"\x1f\x8b"

_FOREIGN = {
    b"BZh": "compressed with bzip2; decompress it, or compress it with gzip",
    b"\xfd7zXZ": "compressed with xz; decompress it, or compress it with gzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; decompress it, or compress it with gzip",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet; unpack it, or save the sheet as tab-separated "
    "text",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it",
    b"%PDF": "a PDF; save its table or sequences as plain text",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
}
"""First bytes of files that are not read → what they are, and what to do."""

_WEB_PAGE = re.compile(rb"\s*<(!doctype html|html)\b", re.IGNORECASE)
_START_BYTES = 64


@contextlib.contextmanager
def open_bytes(path: str | Path) -> Iterator[BinaryIO]:
    """A binary stream of the file's content; gzip is known by its first bytes, not by the name.

    Raises:
      UserError: the file cannot be read or, at any time while the context is open, its gzip data
        are cut off or damaged.
    """
    try:
        with open(path, "rb") as raw, watched(path, raw):
            compressed = raw.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
            if not compressed and Path(path).suffix == ".gz":
                raise gzip.BadGzipFile("Not a gzipped file")
            with (
                gzip.GzipFile(fileobj=raw) if compressed else contextlib.nullcontext(raw) as content
            ):
                _refuse_foreign(content.peek(_START_BYTES), path)
                yield content
    except EOFError as error:
        raise UserError(
            f"{path} is cut off: its gzip data end early; fetch the file again."
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{path} is no sound gzip file ({error}); fetch it again, or drop .gz from a "
            "plain file."
        ) from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror or error}); check the path."
        ) from error


def _refuse_foreign(start: bytes, path: str | Path) -> None:
    for magic, what in _FOREIGN.items():
        if start.startswith(magic):
            raise UserError(f"{path} is {what}.")
    if _WEB_PAGE.match(start):
        raise UserError(
            f"{path} is a web page (HTML), perhaps a server's error message; fetch the file again."
        )

"""Opens source files, plain or gzip, with one clear sentence for missing or unusable files."""

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
    b"PK\x03\x04": "a ZIP archive or spreadsheet; unpack it, or save the sheet as TSV",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it",
    b"%PDF": "a PDF; save its table or sequences as plain text",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
}
"""Magic bytes of unsupported files → what the file is and what to do."""

_WEB_PAGE = re.compile(rb"\s*<(!doctype html|html)\b", re.IGNORECASE)
_START_BYTES = 64


@contextlib.contextmanager
def open_bytes(path: str | Path) -> Iterator[BinaryIO]:
    """Opens a file as a binary stream; detects gzip by its first bytes, not by the file name.

    Raises:
      UserError: the file cannot be read, or, at any time while the context is open, its gzip data
        are truncated or damaged.

    Example:
        >>> import gzip, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "x.gz"
        >>> _ = path.write_bytes(gzip.compress(b"MKV"))
        >>> with open_bytes(path) as content:
        ...     content.read()
        b'MKV'
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
            f"{path} is truncated: its gzip data end early; download it again."
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{path} is not a valid gzip file ({error}); download it again, or remove .gz from "
            "the name if it is a plain file."
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
            f"{path} is a web page (HTML), perhaps a server's error message; download it again."
        )

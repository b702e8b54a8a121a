"""Numbers the lines of a text file, in bounded memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from data_pipelines.common.errors import UserError

_CHUNK_BYTES = 1 << 20
_MAX_LINE_BYTES = 1 << 24
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def numbered_lines(content: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields each line with its 1-based number and its line end (LF, CR LF or CR).

    A UTF-8 byte order mark is removed.

    Raises:
      UserError: a line contains a NUL byte or is longer than 16 MiB, so the file is not text.
    """
    number, rest = 0, b""
    while chunk := content.read(_CHUNK_BYTES):
        # The last line is held back even if complete: a CR may be half of a CR LF.
        *lines, rest = (rest + chunk).splitlines(keepends=True)
        for line in lines:
            number += 1
            yield number, _checked(line, number, path)
        if len(rest) > _MAX_LINE_BYTES:
            raise UserError(
                f"{path}, line {number + 1} is longer than {_MAX_LINE_BYTES >> 20} MiB: the file "
                "is not a list of proteins; check the path."
            )
    if rest:
        yield number + 1, _checked(rest, number + 1, path)


def decoded(text: bytes, number: int, path: Path) -> str:
    """Decodes (a part of) line `number` as UTF-8.

    Raises:
      UserError: it is not UTF-8.
    """
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}, line {number} is not valid UTF-8; save the file as UTF-8."
        ) from error


def _checked(line: bytes, number: int, path: Path) -> bytes:
    if b"\0" in line:
        raise UserError(
            f"{path}, line {number} contains a NUL byte, so the file is binary or UTF-16; use "
            "plain text (or gzip)."
        )
    return line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line

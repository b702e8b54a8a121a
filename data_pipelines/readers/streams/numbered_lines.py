"""The lines of a user's text file with their numbers, in bounded memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from data_pipelines.common.errors import UserError

_CHUNK_BYTES = 1 << 20
_MAX_LINE_BYTES = 1 << 24
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def numbered_lines(content: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """Each line with its 1-based number and its line end, which is LF, CR LF or CR; a UTF-8 byte
    order mark is left out.

    Raises:
      UserError: a line holds a NUL byte or is longer than 16 MiB, so that this is no text file.
    """
    number, rest = 0, b""
    while chunk := content.read(_CHUNK_BYTES):
        # The last line is held back even when complete: a CR may be half of a CR LF.
        *lines, rest = (rest + chunk).splitlines(keepends=True)
        for line in lines:
            number += 1
            yield number, _checked(line, number, path)
        if len(rest) > _MAX_LINE_BYTES:
            raise UserError(
                f"{path}, line {number + 1} is longer than {_MAX_LINE_BYTES >> 20} MiB: this "
                "is no list of proteins."
            )
    if rest:
        yield number + 1, _checked(rest, number + 1, path)


def decoded(text: bytes, number: int, path: Path) -> str:
    """The text of (a part of) line `number`.

    Raises:
      UserError: it is not UTF-8.
    """
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}, line {number} holds bytes that are no UTF-8 text; save the file as UTF-8."
        ) from error


def _checked(line: bytes, number: int, path: Path) -> bytes:
    if b"\0" in line:
        raise UserError(
            f"{path}, line {number} holds a NUL byte: the file is binary or UTF-16; give "
            "plain text (or gzip of it)."
        )
    return line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line

"""Reader for plain lists, one text or protein per line, plain or gzip."""

from collections.abc import Iterator
from pathlib import Path

from data_pipelines.readers.item import MAX_LETTERS, TOO_LONG, Item
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.numbered_lines import decoded, numbered_lines


def read_text_lines(path: Path) -> Iterator[Item]:
    """Yields every line without outer white space, including blank ones; the id is the line number.

    A line of more than `MAX_LETTERS` has a fault and no text.

    Raises:
      UserError: the file is unreadable, truncated, or not UTF-8.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "texts.txt"
        >>> _ = path.write_text("Binds zinc.\\nCuts DNA.\\n")
        >>> [(item.id, item.text) for item in read_text_lines(path)]
        [('1', 'Binds zinc.'), ('2', 'Cuts DNA.')]
    """
    with open_bytes(path) as content:
        for number, line in numbered_lines(content, path):
            text = decoded(line, number, path).strip()
            yield (
                Item(str(number), "", number, TOO_LONG)
                if len(text) > MAX_LETTERS
                else Item(str(number), text, number)
            )

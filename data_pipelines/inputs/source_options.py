"""The options of commands that read proteins or texts from a file or a pipe."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError
from data_pipelines.inputs.model_input import Source, format_of


def choose_source(options: argparse.Namespace) -> Source:
    """The input as its name and the options describe it.

    Raises:
      UserError: the format is unknown, or does not go with another option.
    """
    path = Path(options.input)
    chosen = options.format or ("fasta" if is_piped(path) else format_of(path))
    modality = options.modality or ("text" if chosen == "lines" else "protein")
    if chosen == "fasta" and modality == "text":
        raise UserError("FASTA holds proteins; give texts as --format csv, tsv or lines.")
    if chosen in ("fasta", "lines") and (options.column or options.id_column):
        raise UserError(f"--column and --id_column belong to tables, but the format is {chosen}; leave them out.")
    return Source(path=path, format=chosen, modality=modality, column=options.column, id_column=options.id_column)


def refuse_unread(options: argparse.Namespace, names: Sequence[str], *, owner: str) -> None:
    """Raises UserError where options are given that are read only with `owner`."""
    if given := [f"--{name}" for name in names if getattr(options, name)]:
        belong, them = ("belongs", "it") if len(given) == 1 else ("belong", "them")
        raise UserError(f"{' and '.join(given)} {belong} to {owner}; leave {them} out.")


def is_piped(path: Path) -> bool:
    """Whether an input can be read only once: `-` or a named pipe."""
    return str(path) == "-" or path.is_fifo()


def spool(path: Path, copy: Path) -> Path:
    """Copies a piped input to a file; returns this."""
    given = 0 if str(path) == "-" else path  # 0 is stdin
    with (
        report_disk_errors(copy, kept="finished parts are kept"),
        open(copy, "wb") as file,
        open(given, "rb", closefd=given != 0) as pipe,
    ):
        shutil.copyfileobj(pipe, file)
    return copy

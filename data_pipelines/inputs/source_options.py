"""The options of commands that read proteins or texts from a file or a pipe."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError
from data_pipelines.inputs.input_formats import BY_NAME, INPUT_FORMATS, TABLES, Fasta, listed
from data_pipelines.inputs.model_input import Source, check_content, format_of


def choose_source(options: argparse.Namespace) -> Source:
    """The input as its name and the options describe it.

    Raises:
      UserError: the format is unknown, or does not go with another option.
    """
    path = Path(options.input)
    name = options.format or (Fasta.name if is_piped(path) else format_of(path))
    if not options.format and not is_piped(path):
        check_content(path, name)
    chosen = BY_NAME[name]
    modality = options.modality or chosen.modalities[0]
    if modality not in chosen.modalities:
        others = listed([each.name for each in INPUT_FORMATS if modality in each.modalities])
        held = f"{chosen.description} holds {chosen.modalities[0]}s"
        raise UserError(f"{held}; give {modality}s as --format {others}.")
    if options.column or options.id_column:
        refuse_columns_without_table(name)
    return Source(
        path=path,
        format=name,
        modality=modality,
        column=options.column,
        id_column=options.id_column,
    )


def refuse_columns_without_table(format: str) -> None:
    """Raises UserError unless files of the format have columns to choose.

    Args:
      format: an input format's name, or another command's own.
    """
    if format not in TABLES:
        problem = f"--column and --id_column belong to tables, but the format is {format}"
        raise UserError(f"{problem}; leave them out.")


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

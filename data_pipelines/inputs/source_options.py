"""Options of commands that read proteins or texts from a file or a pipe."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError
from data_pipelines.inputs.input_formats import BY_NAME, INPUT_FORMATS, TABLES, Fasta, listed
from data_pipelines.inputs.model_input import Source, check_content, format_of


def choose_source(options: argparse.Namespace) -> Source:
    """Determines the input from its name and the options.

    Raises:
      UserError: the format is unknown, or conflicts with another option.
    """
    path = Path(options.input)
    name = options.format or (Fasta.name if is_piped(path) else format_of(path))
    if not options.format and not is_piped(path):
        check_content(path, name)
    chosen = BY_NAME[name]
    modality = options.modality or chosen.modalities[0]
    if modality not in chosen.modalities:
        others = listed([each.name for each in INPUT_FORMATS if modality in each.modalities])
        contained = f"{chosen.description} contains {chosen.modalities[0]}s"
        raise UserError(f"{contained}; pass {modality}s as --format {others}.")
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
    """Raises UserError unless the format has selectable columns.

    Args:
      format: the name of an input format, or a command's own format.
    """
    if format not in TABLES:
        problem = f"--column and --id_column apply to tables, but the format is {format}"
        raise UserError(f"{problem}; remove them.")


def refuse_unread(options: argparse.Namespace, names: Sequence[str], *, owner: str) -> None:
    """Raises UserError if options are given that only apply with `owner`."""
    if given := [f"--{name}" for name in names if getattr(options, name)]:
        apply, them = ("applies", "it") if len(given) == 1 else ("apply", "them")
        raise UserError(f"{' and '.join(given)} only {apply} to {owner}; remove {them}.")


def is_piped(path: Path) -> bool:
    """Whether an input can be read only once, because it is `-` or a named pipe."""
    return str(path) == "-" or path.is_fifo()


def spool(path: Path, copy: Path) -> Path:
    """Copies a piped input to a file and returns the file's path."""
    given = 0 if str(path) == "-" else path  # 0 is stdin
    with (
        report_disk_errors(copy, kept="finished parts are kept"),
        open(copy, "wb") as file,
        open(given, "rb", closefd=given != 0) as pipe,
    ):
        shutil.copyfileobj(pipe, file)
    return copy

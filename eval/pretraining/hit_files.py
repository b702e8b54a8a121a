"""The option `--hits NAME=FILE …`."""

import pathlib

from data_pipelines.common.errors import UserError


def hit_files(arguments: list[str]) -> dict[str, pathlib.Path]:
    """The files of `--hits`, by the names that reports give the searches.

    Raises:
      UserError: an argument is not NAME=FILE, or a name is given twice.
    """
    files = {}
    for argument in arguments:
        name, mark, path = argument.partition("=")
        if not (name and mark and path):
            raise UserError(
                f"--hits {argument} is not of the form NAME=FILE, such as mmseqs2=hits.m8."
            )
        if name in files:
            raise UserError(f"--hits names {name} twice; give each search its own name.")
        files[name] = pathlib.Path(path)
    return files

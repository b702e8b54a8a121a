"""Reads benchmark hyper-parameters from config files, with changes from the command line."""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from data_pipelines.common.errors import UserError
from data_pipelines.common.settings import Kind
from eval.benchmarks.families import FAMILIES
from eval.protocols import protocol_config
from eval.public.protocols import PROTOCOLS
from protclip_jax.config.config_file import find_config, load_config

_OF_PROTOCOLS = {name: protocol.fields for name, protocol in PROTOCOLS.items()}
_OF_FAMILIES = {family.name: family.fields for family in FAMILIES if family.fields}
FIELDS: dict[str, Mapping[str, Kind]] = {**_OF_PROTOCOLS, **_OF_FAMILIES}
"""The config files, without suffix, and the fields of each."""


def load_configs(folder: Path, changes: Sequence[str]) -> dict[str, ConfigDict]:
    """Reads the config of each of `FIELDS` from FOLDER/NAME.py and applies changes.

    A change is written like `probe.max_epochs=20`.

    `configs/eval` is the one that came with the package unless the working directory has its own.
    A config file is a Python program, and runs; values of changes are Python literals, or else
    texts, and never evaluated.

    Raises:
      UserError: a file is missing or raises an error, a change names no field or has a value of
        another type, or a value is out of its range.
    """
    folder = find_config(folder)
    configs = {name: _load(folder / f"{name}.py") for name in FIELDS}
    for change in changes:
        path, equals, text = change.partition("=")
        name, _, field = path.partition(".")
        if not equals or name not in configs or not field:
            raise UserError(
                f"--set {change}: changes are NAME.FIELD=VALUE, with one of "
                f"{', '.join(FIELDS)} as NAME."
            )
        try:
            configs[name].update_from_flattened_dict({field: _literal(text)})
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise UserError(
                f"--set {change}: {folder / name}.py has no such field, or one of another type."
            ) from error
    for name, config in configs.items():
        protocol_config.check(config, FIELDS[name], name=str(folder / f"{name}.py"))
    return configs


def _load(path: Path) -> ConfigDict:
    if not path.is_file():
        raise UserError(
            f"{path} does not exist; name a folder with {', '.join(FIELDS)} by --configs of "
            "python -m eval."
        )
    # Locked: a change of a field that does not exist is a mistake.
    return load_config(path).lock()


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text

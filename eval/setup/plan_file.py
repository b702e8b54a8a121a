"""`setup.json`: identifies the setup in a folder, so that no other setup continues it."""

import json
from collections.abc import Mapping
from pathlib import Path

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json

PLAN, FORMAT_VERSION = "setup.json", 1


def read_plan(output: Path) -> dict:
    """Reads a folder's plan; empty if there is none. Raises UserError if it is damaged."""
    path = output / PLAN
    return read_json(path) if path.exists() else {}


def write_plan(output: Path, plan: Mapping) -> None:
    """Writes the plan into a folder atomically."""
    atomic_write(output / PLAN, json.dumps(dict(plan), indent=2) + "\n")


def adopt_plan(output: Path, *, what: str, checkpoint: str) -> None:
    """Begins a setup in a folder, or continues the one in it.

    Args:
      what: the proteins to set up.
      checkpoint: the model's fingerprint.

    Raises:
      UserError: the folder holds a setup of other proteins or with another model, or unrelated
        files.
    """
    known = read_plan(output)
    if not known:
        if output.exists() and any(output.iterdir()):
            raise UserError(f"{output} exists and is not a setup; name another --output.")
        output.mkdir(parents=True, exist_ok=True)
        write_plan(
            output, {"format_version": FORMAT_VERSION, "what": what, "checkpoint": checkpoint}
        )
        return
    if known.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{output / PLAN} has format version {known.get('format_version')!r}, but this "
            f"program reads {FORMAT_VERSION}; name another --output."
        )
    if known.get("what") != what:
        raise UserError(
            f"{output} is the setup of {known.get('what')}, not of {what}; name another --output."
        )
    if known.get("checkpoint") != checkpoint:
        raise UserError(
            f"{output} was started with another model; pass that model as --model, or name "
            "another --output."
        )

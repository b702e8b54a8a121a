"""A checkpoint's `calibration.json`, for copies of its parameters.

`retrieval.calibration` documents the content; only its provenance is read here.
"""

import json
import pathlib
from typing import NamedTuple

from data_pipelines.common.json_object import read_json

FILE = "calibration.json"


class Carried(NamedTuple):
    """The calibration of a copy: the file's content ('' if it is left out), and a sentence."""

    content: str
    sentence: str


NONE = Carried("", "calibration: the checkpoint has none; run `python -m eval --calibrate`.")


def carried(directory: pathlib.Path, step: int) -> Carried:
    """The calibration of one step, for a copy in which that step is 0.

    Raises:
      UserError: the file is damaged.
    """
    path = directory / FILE
    if not path.is_file():
        return NONE
    stored = read_json(path)
    provenance = stored.get("provenance")
    provenance = dict(provenance) if isinstance(provenance, dict) else {}
    if (measured := provenance.get("step", step)) != step:
        return Carried(
            "",
            f"calibration: not copied, because {path} is of step {measured}, not {step}; "
            "run `python -m eval --calibrate` for the copy.",
        )
    provenance |= {"step": 0, "measured_step": provenance.get("measured_step", step)}
    content = json.dumps(stored | {"provenance": provenance}, indent=2, allow_nan=False) + "\n"
    return Carried(content, "calibration: copied.")


def left_out(dtype: str) -> Carried:
    """No calibration, for a copy with rounded parameters, to which the shares do not apply."""
    return Carried(
        "",
        f"calibration: not copied, because rounding to {dtype} changes the model; run "
        "`python -m eval --calibrate` for the copy.",
    )

"""Writes an evaluation: report.json for programs, report.md for readers, and figures as PNG."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from matplotlib.figure import Figure

from data_pipelines.common.atomic_write import atomic_file
from data_pipelines.common.errors import UserError
from data_pipelines.common.figure_style import DPI
from data_pipelines.common.json_object import to_json
from data_pipelines.common.markdown import table


def write_report(
    output: pathlib.Path,
    *,
    provenance: Mapping[str, Any],
    sections: Mapping[str, tuple[dict, str]],
    figures: Mapping[str, Figure],
    left_out: Mapping[str, str],
    captions: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Writes report.json, report.md and figures/*.png into `output`, which may be a link; nothing below it is followed.

    `sections` maps an evaluation's key to its result and its Markdown; `left_out` says of absent figures why;
    `captions` has one for every figure.

    Raises:
      UserError: `output` is no folder, or its `figures` are a link or a file.
    """
    folder = output / "figures"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}); name another --output.") from error
    if folder.is_symlink():
        raise UserError(f"{folder} is a link and is not followed; remove it or name another --output.")
    for name, figure in figures.items():
        with atomic_file(folder / f"{name}.png") as file:
            figure.savefig(file, dpi=DPI, format="png")
    report = {"provenance": dict(provenance)} | {key: result for key, (result, _) in sections.items()}
    report["figures"] = {name: f"figures/{name}.png" for name in figures}
    report["figures_left_out"] = dict(left_out)
    pages = {
        "report.json": json.dumps(to_json(report), indent=2, allow_nan=False) + "\n",
        "report.md": _page(provenance, [text for _, text in sections.values()], figures, left_out, captions),
    }
    for name, text in pages.items():
        with atomic_file(output / name) as file:
            file.write(text.encode(errors="replace"))


def _page(
    provenance: Mapping,
    sections: Sequence[str],
    figures: Mapping[str, Figure],
    left_out: Mapping[str, str],
    captions: Mapping[str, str],
) -> str:
    origin = table(["", ""], [[name, f"`{value}`"] for name, value in provenance.items()])
    shown = [f"![{captions[name]}](figures/{name}.png)\n\n*{captions[name]}*" for name in figures]
    absent = [f"Left out: {name} ({reason})." for name, reason in left_out.items()]
    heading = ["## Figures"] if shown or absent else []
    return "\n\n".join(["# Evaluation", origin, *sections, *heading, *shown, *absent]) + "\n"

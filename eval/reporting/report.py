"""Writes an evaluation: report.json for programs, report.md for readers, and figures as PNG."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from matplotlib.figure import Figure

from data_pipelines.common.atomic_write import atomic_path, atomic_write
from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError
from data_pipelines.common.figure_style import DPI
from data_pipelines.common.hashing import hash64
from data_pipelines.common.json_object import read_json, to_json
from data_pipelines.common.markdown import table
from data_pipelines.common.outputs import claim, release
from data_pipelines.common.progress import print_status
from eval.metrics.resamples import resamples_of, write_resamples

REPORT = "report.json"
RESAMPLES_FILE = "resamples.npz"
"""What the intervals of evaluations on a built dataset were taken from."""


def digest(value: Mapping) -> str:
    """16 hexadecimal digits that change with any part of a JSON object."""
    return f"{hash64(json.dumps(value, sort_keys=True)):016x}"


def write_report(
    output: pathlib.Path,
    *,
    provenance: Mapping[str, Any],
    sections: Mapping[str, tuple[dict, str]],
    figures: Mapping[str, Figure],
    left_out: Mapping[str, str],
    captions: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Writes report.json, report.md and figures/*.png into `output`.

    `output` may be a link; links below it are not followed.

    Where a section has intervals, resamples.npz holds what they were taken from.

    report.json comes first: it says whose the others are (`refuse_other_report`).

    `sections` maps an evaluation's key to its result and its Markdown; `left_out` says of absent
    figures why; `captions` has one for every figure.

    Raises:
      UserError: `output` is not a folder, or its `figures` is a link or a file.
    """
    folder = output / "figures"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be created ({error.strerror}); name another --output."
        ) from error
    if folder.is_symlink():
        raise UserError(
            f"{folder} is a link and is not followed; remove it or name another --output."
        )
    report = {"provenance": dict(provenance)} | {
        key: result for key, (result, _) in sections.items()
    }
    report["figures"] = {name: f"figures/{name}.png" for name in figures}
    report["figures_left_out"] = dict(left_out)
    pages = {
        REPORT: json.dumps(to_json(report), indent=2, allow_nan=False) + "\n",
        "report.md": _page(
            provenance, [text for _, text in sections.values()], figures, left_out, captions
        ),
    }
    drawn = resamples_of({key: result for key, (result, _) in sections.items()})
    with report_disk_errors(output):
        write_resamples(output / RESAMPLES_FILE, drawn)
        for name, text in pages.items():
            atomic_write(output / name, text.encode(errors="replace"))
        for name, figure in figures.items():
            with atomic_path(folder / f"{name}.png") as path:
                figure.savefig(path, dpi=DPI, format="png")


def print_report(output: pathlib.Path, sections: Mapping[str, tuple[dict, str]]) -> None:
    """Prints the main tables of a written report, and its path."""
    for _, text in sections.values():
        print(main_tables(text), end="")
    print_status(f"wrote {output / 'report.md'}")


def main_tables(section: str) -> str:
    """Each heading of a section with the first table below it, for the terminal.

    Headings without a table are left out.
    """
    blocks = section.split("\n\n")
    shown, heading = [], None
    for block in blocks:
        if block.startswith("#"):
            heading = block
        elif block.startswith("|") and heading:
            shown.append(f"{heading}\n\n{block}\n\n")
            heading = None
    return "".join(shown)


def refuse_other_report(output: pathlib.Path, provenance: Mapping[str, Any]) -> None:
    """Refuses an `output` with another evaluation's report, or with files under its names."""
    there = [
        output / name
        for name in (REPORT, "report.md", RESAMPLES_FILE, "figures")
        if os.path.lexists(output / name)
    ]
    if not there:
        return
    try:
        stored = read_json(output / REPORT).get("provenance")
    except UserError:
        stored = None
    if not isinstance(stored, dict):
        raise UserError(f"{there[0]} exists; remove it or name another --output.")
    current = json.loads(json.dumps(to_json(dict(provenance))))
    # Where the dataset lies does not matter: its statistics are compared.
    names = (stored.keys() | current.keys()) - {"dataset"}
    if different := sorted(name for name in names if stored.get(name) != current.get(name)):
        message = f"{output / REPORT} is from another evaluation (different {', '.join(different)})"
        raise UserError(f"{message}; remove that report or name another --output.")


def _page(
    provenance: Mapping,
    sections: Sequence[str],
    figures: Mapping[str, Figure],
    left_out: Mapping[str, str],
    captions: Mapping[str, str],
) -> str:
    known = {name: value for name, value in provenance.items() if value not in (None, "", {})}
    rows = [[name.replace("_", " "), f"`{value}`"] for name, value in known.items()]
    origin = table(["", ""], rows)
    shown = [f"![{captions[name]}](figures/{name}.png)\n\n*{captions[name]}*" for name in figures]
    absent = [f"Left out: {name} ({reason})." for name, reason in left_out.items()]
    heading = ["## Figures"] if shown or absent else []
    return "\n\n".join(["# Evaluation", origin, *sections, *heading, *shown, *absent]) + "\n"


@contextlib.contextmanager
def claimed(output: pathlib.Path) -> Iterator[None]:
    """Keeps other evaluations from writing into the same folder."""
    with claim(output.resolve()) as partial:
        try:
            yield
        finally:
            release(partial)

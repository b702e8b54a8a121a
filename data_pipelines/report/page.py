"""Writes the report page and figures of a built dataset from its statistics.json."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_pipelines.common.errors import UserError
from data_pipelines.common.figure_style import DPI
from data_pipelines.common.outputs import new_folder
from data_pipelines.protanno.dataset import STATISTICS
from data_pipelines.report.sections import SECTIONS, Part

REPORT = "report.md"


def write_report(directory: Path, statistics: Mapping[str, Any]) -> None:
    """Writes `report/report.md` and its PNG figures to a dataset folder; replaces earlier ones.

    A section is left out, with a note, if `statistics` lacks its keys, as those of older builds do.

    Raises:
      UserError: `report` contains other files, or as in `outputs.claim`.
      RunError: a disk error occurs while writing.
    """
    parts = {title: section(statistics, title) for title in SECTIONS}
    page = ["# ProtAnno dataset"]
    for title, part in parts.items():
        shown = [
            f"![{caption}]({name}.png)\n\n*{caption}*"
            for name, (_, caption) in part.figures.items()
        ]
        page += [f"## {title}", part.text, *shown]
    remove_report(directory / "report")
    with new_folder(directory / "report") as folder:
        for part in parts.values():
            for name, (figure, _) in part.figures.items():
                figure.savefig(folder / f"{name}.png", dpi=DPI)
        (folder / REPORT).write_text("\n\n".join(page) + "\n", encoding="utf-8")


def remove_report(folder: Path) -> None:
    """Removes an earlier report: its page and the figures that the page shows.

    Raises:
      UserError: the folder contains other files.
    """
    page = folder / REPORT
    if folder.is_symlink() or not page.is_file():
        return
    shown = re.findall(r"\]\((\w+\.png)\)", page.read_text(encoding="utf-8", errors="replace"))
    if others := sorted({path.name for path in folder.iterdir()} - {REPORT, *shown}):
        raise UserError(
            f"{folder / others[0]} does not belong to the report; move it elsewhere, because the "
            "report is rewritten."
        )
    # The page is removed last; without it the figures cannot be identified.
    for name in (*shown, REPORT):
        (folder / name).unlink(missing_ok=True)


def section(statistics: Mapping[str, Any], title: str) -> Part:
    """Builds a section of the page, or the note on why it is missing."""
    keys, make = SECTIONS[title]
    if missing := [key for key in keys if key not in statistics]:
        lacking = "`, `".join(missing)
        return Part(
            f"Left out: {STATISTICS} lacks `{lacking}`, because the build is older or skipped "
            "that step."
        )
    return make(statistics)

"""The page and the figures on a built dataset, from its statistics.json."""

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
    """Writes `report/report.md` and its PNG figures into a dataset's folder, in place of earlier
    ones.

    A section whose keys `statistics` lacks, as that of an older build does, is left out, and says
    so.

    Raises:
      UserError: `report` holds something else than an earlier report, or as `outputs.claim`.
      RunError: the disk does not take what is written.
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
    """Removes an earlier report: its page, and the figures that the page shows.

    Raises:
      UserError: something else lies there.
    """
    page = folder / REPORT
    if folder.is_symlink() or not page.is_file():
        return
    shown = re.findall(r"\]\((\w+\.png)\)", page.read_text(encoding="utf-8", errors="replace"))
    if others := sorted({path.name for path in folder.iterdir()} - {REPORT, *shown}):
        raise UserError(
            f"{folder / others[0]} is not of the report; move it away, as the report is made anew."
        )
    # The page last: without it nobody knows whose the figures are.
    for name in (*shown, REPORT):
        (folder / name).unlink(missing_ok=True)


def section(statistics: Mapping[str, Any], title: str) -> Part:
    """A section of the page, or why it is left out."""
    keys, make = SECTIONS[title]
    if missing := [key for key in keys if key not in statistics]:
        lacking = "`, `".join(missing)
        return Part(
            f"Left out: {STATISTICS} lacks `{lacking}`, as the build is older or was made "
            "without that step."
        )
    return make(statistics)

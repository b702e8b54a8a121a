"""The page and the figures on a built dataset, from its statistics.json."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_pipelines.common.figure_style import DPI
from data_pipelines.protanno.dataset import STATISTICS
from data_pipelines.report.sections import SECTIONS, Part


def write_report(directory: Path, statistics: Mapping[str, Any]) -> None:
    """Writes `report/report.md` and its PNG figures into a dataset's folder, in place of earlier ones.

    A section whose keys `statistics` lacks, as that of an older build does, is left out, and says so.
    """
    parts = {title: section(statistics, title) for title in SECTIONS}
    page = ["# ProtAnno dataset"]
    for title, part in parts.items():
        shown = [f"![{caption}]({name}.png)\n\n*{caption}*" for name, (_, caption) in part.figures.items()]
        page += [f"## {title}", part.text, *shown]
    folder, partial = directory / "report", directory / "report.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for part in parts.values():
        for name, (figure, _) in part.figures.items():
            figure.savefig(partial / f"{name}.png", dpi=DPI)
    (partial / "report.md").write_text("\n\n".join(page) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def section(statistics: Mapping[str, Any], title: str) -> Part:
    """A section of the page, or why it is left out."""
    keys, make = SECTIONS[title]
    if missing := [key for key in keys if key not in statistics]:
        lacking = "`, `".join(missing)
        return Part(f"Left out: {STATISTICS} lacks `{lacking}`, as the build is older or was made without that step.")
    return make(statistics)

"""Reads a checkpoint's own report from `python -m eval` for statements on property weights."""

import pathlib
from collections.abc import Mapping

from data_pipelines.common.json_object import is_number, read_json

PLACES = ("report.json", "eval/report.json")
"""The places of a report in a workdir: the one of `make demo`, and the default."""
UNMEASURED = (
    "No report of this checkpoint says whether the weights follow the text; measure it with "
    "`python -m eval --benchmarks segment_swap segment_localisation`."
)
ADVICE = "Compare with another text before you read biology into a peak."


def own_report(directory: pathlib.Path, *, step: int) -> dict | None:
    """Reads the report.json of a step in a workdir; None if it is missing or about something else.

    Raises:
      UserError: the report is damaged.
    """
    for place in PLACES:
        path = directory / place
        if path.is_file():
            report = read_json(path)
            provenance = report.get("provenance")
            if isinstance(provenance, dict) and provenance.get("step") == step:
                return report
    return None


def what_weights_mean(directory: pathlib.Path, *, step: int) -> str:
    """Sentences on the checkpoint's property weights, based on its own report."""
    report = own_report(directory, step=step) or {}
    lines = [line for line in (_swapped(report.get("swap")), _located(report.get("pda"))) if line]
    return " ".join([*(lines or [UNMEASURED]), ADVICE])


def _swapped(section: object) -> str:
    """The result of the swap test: whether the weights move to the location that a text names."""
    if not isinstance(section, Mapping) or not isinstance(section.get("interval"), Mapping):
        return ""
    moved, unmoved = [], []
    for name, bounds in section["interval"].items():
        score = section.get(f"score_{name}")
        if not is_number(score) or not isinstance(bounds, list) or not all(map(is_number, bounds)):
            continue
        low, high = bounds
        (moved if low > 0 else unmoved).append(f"{name} {score:.2f} [{low:.2f}, {high:.2f}]")
    lines = []
    if moved:
        lines.append(
            "In this checkpoint's own tests the weights move to the place that a text "
            f"names: {', '.join(moved)}."
        )
    if unmoved:
        lines.append(f"It was not shown that they follow the text: {', '.join(unmoved)}.")
    return " ".join(lines)


def _located(section: object) -> str:
    """The result of the localisation test.

    Names the properties whose weights find annotated residues better than every control does.
    """
    verdicts = section.get("verdict") if isinstance(section, Mapping) else None
    if not isinstance(verdicts, Mapping):
        return ""
    failed = [name for name, text in verdicts.items() if str(text).startswith("not above")]
    return (
        f"They find annotated residues no better than controls do: {', '.join(failed)}."
        if failed
        else ""
    )

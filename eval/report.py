"""Writes an evaluation: report.json for programs, report.md for readers, and figures as PNG."""

import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from data_pipelines.figure_style import DPI
from data_pipelines.markdown import table

CAPTIONS = {
    "losses": "Loss of each objective over training steps (last value at the upper right).",
    "retrieval": "Retrieval on the training run's own pool over steps, beside chance and the k-mer baseline on that pool.",
    "mixture": "Share of each (source, confidence, coverage) cluster among the training draws, beside the configured share.",
    "segments": "PDA weights of the residues of two proteins for each property text; shaded residues are annotated for it.",
}


def write_report(
    output: pathlib.Path,
    *,
    provenance: Mapping[str, Any],
    sections: Mapping[str, tuple[dict, str]],
    figures: Mapping[str, Figure],
    left_out: Mapping[str, str],
) -> None:
    """Writes report.json, report.md and figures/*.png into `output`.

    `sections` maps an evaluation's key to its result and its Markdown; `left_out` says of absent figures why.
    """
    folder = output / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=DPI)
    report = {"provenance": dict(provenance)} | {key: result for key, (result, _) in sections.items()}
    report["figures"] = {name: f"figures/{name}.png" for name in figures}
    report["figures_left_out"] = dict(left_out)
    (output / "report.json").write_text(json.dumps(to_json(report), indent=2, allow_nan=False) + "\n")
    (output / "report.md").write_text(_page(provenance, [text for _, text in sections.values()], figures, left_out))


def to_json(value: Any) -> Any:
    """The value with numbers that are not finite as None, since JSON has none, and NumPy scalars as plain numbers."""
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _page(provenance: Mapping, sections: Sequence[str], figures: Mapping[str, Figure], left_out: Mapping[str, str]) -> str:
    origin = table(["", ""], [[name, f"`{value}`"] for name, value in provenance.items()])
    shown = [f"![{CAPTIONS[name]}](figures/{name}.png)\n\n*{CAPTIONS[name]}*" for name in figures]
    absent = [f"Left out: {name} ({reason})." for name, reason in left_out.items()]
    heading = ["## Figures"] if shown or absent else []
    return "\n\n".join(["# Evaluation", origin, *sections, *heading, *shown, *absent]) + "\n"

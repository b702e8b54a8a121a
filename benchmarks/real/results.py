"""Turns stored measurements into verdicts and tables."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.evidence.intervals import Estimate, verdict
from benchmarks.evidence.measure import Measured
from benchmarks.evidence.verdict_table import verdict_table
from benchmarks.real.arm_tables import ablation_table, cell, curve_table
from benchmarks.real.figures import models_by_band
from benchmarks.real.intervals import over_clusters
from benchmarks.real.kept import LOSSES, PROBE, SEGMENTS, Run
from benchmarks.real.plan import ARMS, BEST, MAIN, MASKED, PLANTED, PRIMARY, RANDOM, Endpoint
from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.figure_style import DPI
from data_pipelines.common.markdown import table
from data_pipelines.protanno.clusters import TEST, VALIDATION
from eval.metrics.comparison import holm

CLAIMS = {name: endpoint.claim for name, endpoint in PRIMARY.items()}
QUANTITIES = ("p2t_mrr", "t2p_mrr", "map_location", "map_family", "map_enzyme", "map_go")
PROBED = "scl2205_"
"""The prefix of the probe's quantities."""
ENDINGS = {"": "all proteins", "_remote": "proteins without relatives in training"}
BY_BAND = [f"{quantity}{ending}" for ending in ENDINGS for quantity in QUANTITIES]


def best_baseline(run: Run, quantity: str) -> str | None:
    """The baseline with the highest value on validation; None if none has been measured."""
    found = {name: run.found(VALIDATION, name).get(quantity) for name in run.baselines(VALIDATION)}
    values = {name: measured.value for name, measured in found.items() if measured is not None}
    return max(values, key=values.get) if values else None


def place_of(endpoint: Endpoint, split: str) -> str:
    """The set of proteins for an endpoint: a probe's, those with planted signals, or the split."""
    if endpoint.quantity.startswith(PROBED):
        return PROBE
    return TEST if endpoint.first == PLANTED else split


def compared(run: Run, endpoint: Endpoint, split: str) -> tuple[Estimate | None, str]:
    """An endpoint's difference, and the name of the model that the first is compared with.

    The difference is None if a model is not measured.
    """
    where = place_of(endpoint, split)
    second = (
        (best_baseline(run, endpoint.quantity) or BEST)
        if endpoint.second == BEST
        else endpoint.second
    )
    first = run.found(where, endpoint.first).get(endpoint.quantity)
    other = (
        run.found(where, second).get(endpoint.quantity) if second else Measured(0.0, np.zeros(1))
    )
    if first is None or other is None:
        return None, second
    return over_clusters(first.value - other.value, first.replicates - other.replicates), second


def verdicts(run: Run, split: str) -> dict[str, dict]:
    """The verdict on every measured primary endpoint, with Holm's correction over all of them."""
    found = {name: compared(run, endpoint, split) for name, endpoint in PRIMARY.items()}
    adjusted = dict(
        zip(
            found,
            holm([estimate.p if estimate else 1.0 for estimate, _ in found.values()]),
            strict=True,
        )
    )
    rows = {}
    for name, (estimate, second) in found.items():
        if estimate:
            # With one seed, the number of seeds needed is unknown.
            word = verdict(estimate, adjusted[name], margin=PRIMARY[name].margin).partition(" (")[0]
            rows[name] = estimate._asdict() | {
                "adjusted_p": adjusted[name],
                "against": second or "zero",
                "verdict": word,
            }
    return rows


def model_table(run: Run, split: str, ending: str) -> str:
    """A table of a split's baselines and models, each number with its interval over clusters."""
    rows = []
    for model in [*run.baselines(split), RANDOM, *ARMS]:
        found = run.found(split, model)
        cells = [cell(found.get(f"{quantity}{ending}")) for quantity in QUANTITIES]
        if any(cells):
            rows.append([model, *cells])
    return table(["model", *QUANTITIES], rows)


def other_table(run: Run, split: str) -> str:
    """A table of other measurements by model: the probe, planted signals, losses, segments."""
    rows = []
    for where, models in (
        (PROBE, (MAIN, MASKED, RANDOM)),
        (split, (PLANTED,)),
        (LOSSES, run.models(LOSSES)),
        (SEGMENTS, run.models(SEGMENTS)),
    ):
        for model in models:
            for name, measured in run.found(where, model).items():
                rows.append([f"{where}: {model}", name, cell(measured)])
    return table(["model", "quantity", "value"], rows)


def write(run: Run, output: Path, splits: Sequence[str]) -> str:
    """Writes `real.json`, `real.md` and `real_SPLIT.png` into a folder; returns the page."""
    measured = [split for split in splits if run.models(split)]
    rows = {split: verdicts(run, split) for split in measured if split != VALIDATION}
    parts = []
    output.mkdir(parents=True, exist_ok=True)
    for split in measured:
        if figure := models_by_band(run, split, ENDINGS):
            figure.savefig(output / f"real_{split}.png", dpi=DPI)
        if split in rows:
            parts += [
                f"## Primary endpoints, {split}",
                verdict_table(CLAIMS, rows[split], "against"),
            ]
        for ending, named in ENDINGS.items():
            parts += [f"## {split}, {named}", model_table(run, split, ending)]
    last = TEST if TEST in splits else VALIDATION
    parts += ["## Without an objective", ablation_table(run, last, BY_BAND)]
    parts += ["## Fewer training records", curve_table(run, last, BY_BAND)]
    parts += ["## Other measurements", other_table(run, last)]
    page = "\n\n".join(parts) + "\n"
    atomic_write(output / "real.json", json.dumps(rows, indent=1) + "\n")
    atomic_write(output / "real.md", page)
    return page

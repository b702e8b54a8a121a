"""Turns stored measurements into verdicts and tables."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.evidence.figures import steps_curve
from benchmarks.evidence.intervals import Estimate, estimate, verdict
from benchmarks.evidence.measure import Measured
from benchmarks.evidence.plan import (
    ABLATED,
    LENGTHS,
    PRIMARY,
    SAMPLED_LINEAR,
    SAMPLED_NETWORKS,
    STUDIES,
    Endpoint,
    Study,
)
from benchmarks.evidence.runs import JUDGE, load
from benchmarks.evidence.verdict_table import verdict_table
from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.figure_style import DPI
from data_pipelines.common.markdown import interval, number, table
from eval.metrics.comparison import holm
from eval.pretraining.segment_localisation import LOCALISED

CLAIMS = {name: endpoint.claim for name, endpoint in PRIMARY.items()}
Found = Mapping[int, Mapping[str, Measured]]
"""The measurements of a model, by seed."""


def compared(first: Found, second: Found | None, quantity: str) -> Estimate | None:
    """The difference of two models over the seeds that both have, or the first's own number.

    None with fewer than two seeds.
    """
    seeds = [
        seed
        for seed, found in first.items()
        if quantity in found and (second is None or seed in second)
    ]
    if len(seeds) < 2:
        return None
    points = [first[seed][quantity].value for seed in seeds]
    replicates = [first[seed][quantity].replicates for seed in seeds]
    if second is not None:
        points = [
            point - second[seed][quantity].value for point, seed in zip(points, seeds, strict=True)
        ]
        replicates = [
            each - second[seed][quantity].replicates
            for each, seed in zip(replicates, seeds, strict=True)
        ]
    return estimate(points, replicates)


def endpoint_estimate(results: Path, endpoint: Endpoint) -> Estimate | None:
    """The estimate of a primary endpoint from the measurements so far."""
    second = load(results, endpoint.study, endpoint.second) if endpoint.second else None
    return compared(load(results, endpoint.study, endpoint.first), second, endpoint.quantity)


def verdicts(results: Path) -> dict[str, dict]:
    """The verdict on every measured primary endpoint, with Holm's correction over all of them."""
    found = {name: endpoint_estimate(results, endpoint) for name, endpoint in PRIMARY.items()}
    measured = {name: each for name, each in found.items() if each is not None}
    # Endpoints that are not measured yet count as if their p were 1, so that a verdict can only
    # improve.
    adjusted = dict(
        zip(found, holm([each.p if each else 1.0 for each in found.values()]), strict=True)
    )
    rows = {}
    for name, each in measured.items():
        word = verdict(each, adjusted[name], margin=PRIMARY[name].margin)
        rows[name] = each._asdict() | {
            "adjusted_p": adjusted[name],
            "verdict": word,
            "seeds": len(each.by_seed),
        }
    return rows


def study_table(results: Path, name: str, study: Study, quantities: tuple[str, ...]) -> str:
    """A table of every model of a study: mean over seeds with its interval."""
    rows = []
    for model in (JUDGE, *study.linear, *study.networks):
        found = load(results, name, model)
        cells = []
        for quantity in quantities:
            each = compared(found, None, quantity)
            cells.append(f"{number(each.mean)} {interval(each.interval)}" if each else "")
        rows.append([model, str(len(found)), *cells])
    return table(["model", "seeds", *quantities], rows)


QUANTITIES = {
    "demo": ("mrr", "map", "map_activity", "map_ligand", "map_location", "map_superfamily", "swap"),
    "demo_steps": ("mrr", "map"),
    "ablations": ("mrr", "map", "swap"),
    "ordered": (
        "mrr",
        "map",
        "map_activity",
        "map_ligand",
        "map_location",
        "map_superfamily",
        "swap",
    ),
    "sampling": ("mrr", "map", "swap"),
    "few_records": ("mrr", "map", "swap"),
    "sampling_control": ("mrr", "map"),
}


PLACES = ("", "_over_other_record_text", "_over_text_free_tagger", "_over_hydropathy")
"""Suffixes of the quantities on where PDA's weights lie; see `Bench.places`."""


def places_table(results: Path, name: str, study: Study) -> str:
    """A table of each network and property: AUROC of PDA's weights, and its lead over controls."""
    rows = []
    for model in study.networks:
        found = load(results, name, model)
        for kind in LOCALISED:
            each = [compared(found, None, f"place_{kind}{ending}") for ending in PLACES]
            cells = [f"{number(one.mean)} {interval(one.interval)}" if one else "" for one in each]
            rows.append([model, kind, str(len(found)), *cells])
    header = [
        "model",
        "property",
        "seeds",
        "AUROC",
        "above another text",
        "above the tagger",
        "above hydropathy",
    ]
    return table(header, rows)


class Differences(NamedTuple):
    """Models that are described by their differences to another, without a verdict.

    Attributes:
      study, models: the models.
      reference: the study and the name of the model to which they are compared.
      quantities: the measured quantities.
    """

    study: str
    models: tuple[str, ...]
    reference: tuple[str, str]
    quantities: tuple[str, ...]


PLACED = (
    *(f"place_{kind}" for kind in LOCALISED),
    *(f"place_{kind}_over_other_record_text" for kind in LOCALISED),
)
RETRIEVED, READ = ("mrr", "map"), ("mrr", "map", "swap")
DESCRIBED = {
    "Our recipe and the paper's form, demo": Differences(
        "demo", ("ours",), ("demo", "paper"), READ
    ),
    "Our recipe and the paper's form, ordered": Differences(
        "ordered", ("ours",), ("ordered", "paper"), READ
    ),
    "Whole texts, demo": Differences("demo", ("linear_whole",), ("demo", "linear"), RETRIEVED),
    "Whole texts, ordered": Differences(
        "ordered", ("linear_whole",), ("ordered", "linear"), RETRIEVED
    ),
    "Our recipe with one part left out": Differences(
        "ablations", tuple(ABLATED), ("demo", "ours"), (*QUANTITIES["demo"], *PLACED)
    ),
    "Fewer and more steps": Differences(
        "demo_steps", tuple(LENGTHS), ("demo", "linear"), RETRIEVED
    ),
    "Sampling of linear models": Differences(
        "sampling", tuple(SAMPLED_LINEAR), ("sampling", "linear_uniform"), RETRIEVED
    ),
    "Our default and the paper's sampling of linear models": Differences(
        "sampling", ("linear_default", "linear_drops"), ("sampling", "linear_paper"), RETRIEVED
    ),
    "Sampling of networks": Differences(
        "sampling", tuple(SAMPLED_NETWORKS), ("sampling", "network_uniform"), READ
    ),
    "Our default and the paper's sampling of networks": Differences(
        "sampling", ("network_default",), ("sampling", "network_paper"), READ
    ),
    "Fewer records, linear model": Differences(
        "few_records", ("linear_few",), ("sampling", "linear_uniform"), RETRIEVED
    ),
    "Fewer records, network": Differences(
        "few_records", ("network_few",), ("sampling", "network_uniform"), READ
    ),
    "The paper's sampling and as few records, linear model": Differences(
        "sampling", ("linear_paper",), ("few_records", "linear_few"), RETRIEVED
    ),
    "The paper's sampling and as few records, network": Differences(
        "sampling", ("network_paper",), ("few_records", "network_few"), READ
    ),
}


def differences_table(results: Path, described: Differences) -> str:
    """A table with a row for each quantity and a column for each model: its difference.

    The differences are paired by seed and by cluster.
    """
    study, reference = described.reference
    second = load(results, study, reference)
    models = [name for name in described.models if (described.study, name) != described.reference]
    rows = []
    for quantity in described.quantities:
        each = [compared(load(results, described.study, name), second, quantity) for name in models]
        cells = [f"{number(one.mean)} {interval(one.interval)}" if one else "" for one in each]
        rows.append([quantity, *cells])
    return table([f"difference to {reference}", *models], rows)


def control_line(results: Path) -> str:
    """A line on the effect of sampling by confidence in the positive control, by seed."""
    paper, uniform = (
        load(results, "sampling_control", f"linear_{name}") for name in ("paper", "uniform")
    )
    found = compared(paper, uniform, "map")
    if found is None:
        return "not measured"
    return f"{number(found.mean)} {interval(found.interval)}, {len(found.by_seed)} seeds"


def write(results: Path, output: Path) -> str:
    """Writes `evidence.json`, `evidence.md` and the learning curve; returns the page."""
    rows = verdicts(results)
    parts = ["## Primary endpoints", verdict_table(CLAIMS, rows, "seeds")]
    for name, study in STUDIES.items():
        parts += [f"## {name}", study_table(results, name, study, QUANTITIES[name])]
    parts += ["## Positive control of sampling: MAP, the paper's − uniform", control_line(results)]
    for name in ("demo", "ablations"):
        parts += [
            f"## Where PDA's weights lie ({name})",
            places_table(results, name, STUDIES[name]),
        ]
    for title, described in DESCRIBED.items():
        parts += [f"## {title}", differences_table(results, described)]
    page = "\n\n".join(parts) + "\n"
    output.mkdir(parents=True, exist_ok=True)
    atomic_write(output / "evidence.json", json.dumps(rows, indent=1) + "\n")
    atomic_write(output / "evidence.md", page)
    if curve := steps_curve(results):
        curve.savefig(output / "demo_steps.png", dpi=DPI)
    return page

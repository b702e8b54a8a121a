"""Tables that compare arms: what an objective adds, and what more training records add."""

from collections.abc import Mapping, Sequence

from benchmarks.evidence.measure import Measured
from benchmarks.real.intervals import over_clusters
from benchmarks.real.kept import LINEAR_PREFIX, SEGMENTS, Run
from benchmarks.real.measure import LINEAR
from benchmarks.real.plan import ARMS, CURVE, WHOLE, WITHOUT_BSR, WITHOUT_PDA
from data_pipelines.common.markdown import interval, number, table

MODEL_FREE = ("_over_text_free_tagger", "_over_hydropathy")
"""Endings of differences to a control that is the same beside every arm."""


def cell(measured: Measured | None) -> str:
    """A number with its interval over clusters; empty if it is not measured."""
    if measured is None:
        return ""
    if len(measured.replicates) == 1:
        return number(measured.value)
    return f"{number(measured.value)} {interval(over_clusters(*measured).interval)}"


def ablation_table(run: Run, split: str, quantities: Sequence[str]) -> str:
    """All objectives minus an arm without one, on a split, and on proteins with features."""
    arms = (WITHOUT_PDA, WITHOUT_BSR)
    rows = []
    places = sorted(name for name in run.found(SEGMENTS, WHOLE) if not name.endswith(MODEL_FREE))
    for where, named in ((split, quantities), (SEGMENTS, places)):
        whole, without = run.found(where, WHOLE), [run.found(where, arm) for arm in arms]
        for name in named:
            cells = [cell(_difference(whole.get(name), other.get(name))) for other in without]
            if any(cells):
                rows.append([name, *cells])
    return table([f"{WHOLE} minus", *arms], rows)


def curve_table(run: Run, split: str, quantities: Sequence[str]) -> str:
    """The network and the linear model by the number of training records they learn from."""
    rows = []
    for arm in CURVE:
        network, linear = run.found(split, arm), _linear(run, split, arm)
        records = ARMS[arm].records
        for model, found in (("network", network), (LINEAR, linear)):
            if network:
                cells = [cell(found.get(name)) for name in quantities]
                rows.append([f"{records:,}" if records else "all", model, *cells])
    return table(["records", "model", *quantities], rows)


def _linear(run: Run, split: str, arm: str) -> Mapping[str, Measured]:
    """The linear model that learns from an arm's records; a baseline does from all of them."""
    if ARMS[arm].records is None:
        return run.found(split, LINEAR)
    found = run.found(split, arm).items()
    return {
        name.removeprefix(LINEAR_PREFIX): measured
        for name, measured in found
        if name.startswith(LINEAR_PREFIX)
    }


def _difference(first: Measured | None, second: Measured | None) -> Measured | None:
    if first is None or second is None:
        return None
    return Measured(first.value - second.value, first.replicates - second.replicates)

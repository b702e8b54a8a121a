"""Numbers of the report that `python -m eval` wrote on a checkpoint, for its model card."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import is_number, read_json
from protclip_jax.checkpoints.own_report import own_report

_NOT_SECTIONS = ("provenance", "figures", "figures_left_out")
_MOST = 60


class Reported(NamedTuple):
    """One number of a report."""

    section: str
    name: str
    value: float


class Report(NamedTuple):
    """What a report says, and of what."""

    metrics: list[Reported]
    dataset: str
    """The dataset or folder of public data that was measured on."""
    split: str


def find_report(directory: pathlib.Path, *, step: int) -> Report | None:
    """The report on a step of a workdir; None if it is missing or on another step."""
    report = own_report(directory, step=step)
    return None if report is None else _described(report)


def read_report(path: pathlib.Path) -> Report:
    """The numbers of a report.json.

    Raises:
      UserError: it is damaged, or no report.
    """
    report = read_json(path)
    if not isinstance(report.get("provenance"), dict):
        raise UserError(
            f"{path} is not a report of `python -m eval`; leave --report out, or name such a file."
        )
    return _described(report)


def _described(report: Mapping) -> Report:
    provenance = report["provenance"]
    sections = {name: section for name, section in report.items() if name not in _NOT_SECTIONS}
    metrics = [metric for name, section in sections.items() for metric in _numbers(name, section)]
    dataset = pathlib.PurePath(
        str(provenance.get("dataset") or provenance.get("public_data") or "")
    ).name
    return Report(metrics[:_MOST], dataset, str(provenance.get("split") or "test"))


def _numbers(section: str, result: object) -> Iterator[Reported]:
    """The numbers of a section, two levels deep; for public benchmarks the headline means."""
    if section == "benchmarks" and isinstance(result, dict):
        for benchmark, of_benchmark in result.items():
            headline = of_benchmark.get("headline") if isinstance(of_benchmark, dict) else None
            for metric, value in (headline or {}).items():
                if isinstance(value, dict) and is_number(value.get("mean")):
                    yield Reported(benchmark, metric, float(value["mean"]))
        return
    for name, value in result.items() if isinstance(result, Mapping) else ():
        nested = value if isinstance(value, Mapping) else {"": value}
        for detail, number in nested.items():
            if is_number(number):
                yield Reported(section, f"{name} {detail}".strip(), float(number))

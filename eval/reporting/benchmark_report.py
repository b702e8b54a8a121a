"""The report on public benchmarks: our numbers with intervals, the published ones beside them, and what the data were."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from data_pipelines.figure_style import BLUE, GREEN, GREY, INK, VERMILION, tidy
from data_pipelines.markdown import plain, table
from eval.reporting.markdown import UNDEFINED, interval, number

TITLES = {
    "classification": "Classification",
    "mutation_effect": "Mutation effects and other numbers of a protein",
    "cross_modal": "Cross-modal transformation",
    "semantic_similarity": "Semantic similarity",
    "protein_interaction": "Protein–protein interaction",
}
SECTION = """## Public benchmarks

{families}

Mean over seeds ± their standard deviation, and a 95 % bootstrap interval over what is tested. *Published* numbers are on the
published data sets: beside data that are not those (**other data** in the last column) they tell nothing about the difference.

{data}{missing}"""
PARTIAL = "**other data**"
COLOURS = (VERMILION, GREEN, INK, GREY)


def markdown(results: Mapping[str, Mapping]) -> str:
    """The section of report.md on the results of `Suite.results`."""
    measured = [result for result in results.values() if "missing" not in result]
    families = [name for name in TITLES if any(result["family"] == name for result in measured)]
    parts = [_family(name, [result for result in measured if result["family"] == name]) for name in families]
    missing = [f"Not measured: {plain(result['missing'])}" for result in results.values() if "missing" in result]
    return SECTION.format(
        families="\n\n".join(parts),
        data=_data(measured),
        missing="".join(f"\n\n{sentence}" for sentence in missing),
    )


def _family(name: str, results: Sequence[Mapping]) -> str:
    header = ["benchmark", "metric", "ours", "95 %", "controls", "published", "data"]
    rows = [row for result in results for row in _rows(result)]
    notes = [f"- {result['benchmark']}: {plain(note)}" for result in results for note in result["result"].get("notes", ())]
    return "\n\n".join([f"### {TITLES[name]}", table(header, rows), *(["\n".join(notes)] if notes else [])])


def _rows(result: Mapping) -> list[list[str]]:
    rows = []
    for metric, value in result["headline"].items():
        spread = "" if value["std"] is None else f" ± {number(value['std'])}"
        known = [f"{row['model']} {number(row['value'])}" for row in result["published"] if row["metric"] == metric]
        controls = [
            f"{plain(control['protocol'])} {number(control['metrics'][metric]['mean'])}"
            for control in result["result"].get("controls", ())
        ]
        rows.append(
            [
                result["benchmark"],
                metric,
                f"{number(value['mean'])}{spread}",
                interval(value["interval"]),
                "; ".join(controls) or UNDEFINED,
                "; ".join(known) or UNDEFINED,
                {True: "published", False: PARTIAL, None: "size not known"}[result["data"]["whole"]],
            ]
        )
    return rows


def _data(results: Sequence[Mapping]) -> str:
    rows = [
        [
            result["benchmark"],
            ", ".join(f"{name} {count:,}" for name, count in result["data"]["counts"].items()),
            str(result["data"]["rejected"]),
            plain(result["data"]["sentence"]),
            f"{result['seconds']:.0f} s",
        ]
        for result in results
    ]
    files = [
        f"- `{file['path']}`: {file['bytes']:,} bytes, SHA-256 `{file['sha256'][:16]}…`, {file['rows']:,} rows"
        for file in {file["path"]: file for result in results for file in result["data"]["files"]}.values()
    ]
    hardware = sorted({result["hardware"] for result in results})
    return "\n\n".join(
        [
            "### Data",
            table(["benchmark", "counts", "rejected rows", "beside the published data", "time"], rows),
            "\n".join(files),
            f"Hardware: {'; '.join(hardware)}." if hardware else "",
        ]
    )


def figures(results: Mapping[str, Mapping]) -> dict[str, Figure]:
    """`benchmarks`, the first metric of each as bars with intervals and published numbers as marks; nothing without any."""
    measured = [result for result in results.values() if result.get("headline")]
    if not measured:
        return {}
    figure = Figure(figsize=(max(4.0, 0.6 * len(measured) + 2), 3.4), layout="constrained")
    axis = figure.subplots()
    marks = {}
    for place, result in enumerate(measured):
        metric, value = next(iter(result["headline"].items()))
        mean = np.nan if value["mean"] is None else value["mean"]
        axis.bar(place, mean, width=0.6, color=BLUE, alpha=1.0 if result["data"]["whole"] else 0.45)
        if value["interval"] and None not in value["interval"]:
            axis.vlines(place, *value["interval"], color=INK, linewidth=1.2)
        for row in result["published"]:
            if row["metric"] == metric:
                marks.setdefault(row["model"], []).append((place, row["value"]))
    for colour, (model, points) in zip(COLOURS, marks.items(), strict=False):
        places, values = zip(*points, strict=True)
        axis.scatter(places, values, marker="_", s=160, color=colour, label=f"{model}, published")
    labels = [f"{result['benchmark']}\n{next(iter(result['headline']))}" for result in measured]
    axis.set_xticks(range(len(measured)), labels, rotation=60, ha="right", fontsize=7)
    axis.axhline(0, color=GREY, linewidth=0.8)
    if marks:
        axis.legend(fontsize=7, frameon=False)
    tidy(axis)
    return {"benchmarks": figure}

"""The report's section on public benchmarks: our numbers, published ones, and the data."""

from collections.abc import Mapping, Sequence

from data_pipelines.common.markdown import UNDEFINED, interval, number, plain, table
from eval.benchmarks.families import FAMILIES

SECTION = """## Public benchmarks

{families}

Mean over seeds ± their standard deviation, and a 95 % bootstrap interval over what is tested. Test
proteins whose sequence was in the checkpoint's own training set are left out; *with those seen* is
the number with them. *Published* numbers are on the published data sets, by the protocol in
brackets: beside data that are not those (**other data** in the last column), or beside numbers of
ours by another protocol, they tell nothing about the difference.

{random_weights}{data}{missing}"""
RANDOM_WEIGHTS = """### Beside random weights

{table}

The same network, with the weights that a training with its seed starts from, on the same proteins.
Differences are paired; *better* and *p* are corrected for all rows of this table (Holm). One seed
of random weights was measured: how much others differ is not included.

"""
PARTIAL = "**other data**"


def markdown(results: Mapping[str, Mapping]) -> str:
    """The section of report.md on the results of `Suite.results`."""
    measured = [result for result in results.values() if "headline" in result]
    parts = []
    for family in FAMILIES:
        if own := [result for result in measured if result["family"] == family.name]:
            parts.append(_family(family.title, own))
    missing = [
        f"Not measured: {plain(result['missing'])}"
        for result in results.values()
        if "missing" in result
    ]
    missing += [
        f"**Failed**: {name}: {plain(result['failed'])}"
        for name, result in results.items()
        if "failed" in result
    ]
    return SECTION.format(
        families="\n\n".join(parts),
        random_weights=_random_weights(measured),
        data=_data(measured),
        missing="".join(f"\n\n{sentence}" for sentence in missing),
    )


def _family(title: str, results: Sequence[Mapping]) -> str:
    header = [
        "benchmark",
        "metric",
        "ours, by",
        "ours",
        "95 %",
        "with those seen",
        "controls",
        "published",
        "data",
    ]
    rows = [row for result in results for row in _rows(result)]
    notes = [
        f"- {result['benchmark']}: {plain(note)}"
        for result in results
        for note in (
            *result["result"].get("notes", ()),
            *_pretraining(result),
            *result["data"]["notes"],
        )
    ]
    curves = [
        _identity_curve(result) for result in results if result["result"].get("identity_curve")
    ]
    return "\n\n".join(
        [f"### {title}", table(header, rows), *curves, *(["\n".join(notes)] if notes else [])]
    )


def _pretraining(result: Mapping) -> list[str]:
    note = result["result"].get("pretraining_note")
    return [note] if note else []


def _identity_curve(result: Mapping) -> str:
    """A table of all metrics on the test proteins below each cut-off of identity to training."""
    metrics = list(result["headline"])
    rows = [_cutoff_row(point, metrics) for point in result["result"]["identity_curve"]]
    unknown = result["result"]["identity_unknown"]
    message = f"\n\nFor {unknown} test proteins the identity is unknown." if unknown else ""
    return (
        f"`{result['benchmark']}` by identity to "
        f"training:\n\n{table(['identity', 'proteins', *metrics], rows)}{message}"
    )


def _cutoff_row(point: Mapping, metrics: Sequence[str]) -> list[str]:
    cells = [_cutoff_cell(point, metric) for metric in metrics]
    return [f"≤ {point['cutoff']:.0%}", str(point["rows"]), *cells]


def _cutoff_cell(point: Mapping, metric: str) -> str:
    if not point["metrics"]:
        return UNDEFINED
    value = point["metrics"][metric]
    return f"{number(value['mean'])} {interval(value['interval'])}"


def _rows(result: Mapping) -> list[list[str]]:
    rows = []
    for metric, value in result["headline"].items():
        spread = "" if value["std"] is None else f" ± {number(value['std'])}"
        controls = [
            f"{plain(control['protocol'])} {number(control['metrics'][metric]['mean'])}"
            for control in result["result"].get("controls", ())
            if metric in control["metrics"]
        ]
        rows.append(
            [
                result["benchmark"],
                metric,
                plain(result["protocol"]),
                f"{number(value['mean'])}{spread}",
                interval(value["interval"]),
                _with_seen(result, metric),
                "; ".join(controls) or UNDEFINED,
                _published(result, metric),
                {True: "published", False: PARTIAL, None: "size not known"}[
                    result["data"]["whole"]
                ],
            ]
        )
    return rows


def _published(result: Mapping, metric: str) -> str:
    """What others reported of the metric, each number with its protocol."""
    known = [row for row in result["published"] if row["metric"] == metric]
    cells = [
        f"{plain(row['model'])} {number(row['value'])} ({plain(row['protocol'])})" for row in known
    ]
    if not cells and metric == next(iter(result["headline"])):
        return "no published number could be verified"
    return "; ".join(cells) or UNDEFINED


def _with_seen(result: Mapping, metric: str) -> str:
    """The metric including test proteins seen in pretraining; empty if there are none."""
    value = result.get("headline_with_seen", {}).get(metric)
    return f"{number(value['mean'])} {interval(value['interval'])}" if value else ""


def _random_weights(results: Sequence[Mapping]) -> str:
    """The section on random weights; empty if they were not measured."""
    rows = []
    for result in results:
        for metric, random in result.get("random_weights", {}).items():
            own = result["headline"][metric]
            cells = [f"{number(one['mean'])} {interval(one['interval'])}" for one in (own, random)]
            between = interval(random["difference_interval"])
            cells += [f"{number(random['difference'])} {between}", random["better"]]
            rows.append([result["benchmark"], metric, *cells, number(random["p_holm"])])
    header = ["benchmark", "metric", "ours", "random weights", "difference", "better", "p"]
    return RANDOM_WEIGHTS.format(table=table(header, rows)) if rows else ""


def _data_row(result: Mapping) -> list[str]:
    data = result["data"]
    counts = [f"{name} {count:,}" for name, count in data["counts"].items()]
    return [
        result["benchmark"],
        ", ".join(counts),
        str(data["rejected"]),
        plain(data["sentence"]),
        f"{result['seconds']:.0f} s",
    ]


def _data(results: Sequence[Mapping]) -> str:
    rows = [_data_row(result) for result in results]
    distinct = {file["path"]: file for result in results for file in result["data"]["files"]}
    files = [
        f"- `{file['path']}`: {file['bytes']:,} bytes, SHA-256 `{file['sha256'][:16]}…`, "
        f"{file['rows']:,} rows"
        for file in distinct.values()
    ]
    hardware = sorted({result["hardware"] for result in results})
    return "\n\n".join(
        [
            "### Data",
            table(
                ["benchmark", "counts", "rejected rows", "beside the published data", "time"], rows
            ),
            "\n".join(files),
            f"Hardware: {'; '.join(hardware)}." if hardware else "",
        ]
    )

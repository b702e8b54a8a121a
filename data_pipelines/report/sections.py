"""Sections of a dataset report, each built from the keys of `statistics.json` that it needs."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from data_pipelines.common.errors import UserError
from data_pipelines.common.markdown import plain, table
from data_pipelines.protanno.clusters import HELD_OUT, split_name
from data_pipelines.report import figures
from data_pipelines.training.sampling import make_sampler

CONFIDENCE = {
    1: "protein",
    2: "transcript",
    3: "homology",
    4: "predicted",
    5: "uncertain",
    0: "unknown",
}
COVERAGE = {quarters: f"{quarters}/4" for quarters in figures.COVERAGES}

PUBLISHED_CONFIDENCE = {
    "ProtAnno-S": {1: 0.1982, 2: 0.0980, 3: 0.6777, 4: 0.0229, 5: 0.0032},
    "ProtAnno-D": {1: 0.0013, 2: 0.0057, 3: 0.3269, 4: 0.6661, 5: 0.0},
}
"""Shares of confidence levels in the ProtCLIP paper; D (Swiss-Prot and TrEMBL) before sampling."""

PUBLISHED_COVERAGE = {
    "ProtAnno-S": {1: 0.0259, 2: 0.1062, 3: 0.3691, 4: 0.4988},
    "ProtAnno-D": {1: 0.6211, 2: 0.1814, 3: 0.1182, 4: 0.0793},
}
"""Shares of property coverages, in quarters, in the same data."""

MAX_RESIDUES = 1022
"""Residues in the 1,024 tokens of a training example, without <cls> and <eos>."""

LICENCE = """\
UniProt's data are licensed under [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/), and so
is this dataset, which is derived from them. If you pass on the dataset or anything made from it,
name the source, [UniProt](https://www.uniprot.org) (The UniProt Consortium), link the licence, and
say what was changed: entries were converted to records of sequence, names, comments and features,
identical sequences were merged into one record, and the records were split for training and
evaluation. Entries from elsewhere, such as a lab's own table, have their own terms."""


class Part(NamedTuple):
    """The content of a section: Markdown, and figures by file name with their captions."""

    text: str
    figures: Mapping[str, tuple[Figure, str]] = {}


def _contents(statistics: Mapping) -> Part:
    """Shows what became of the entries: records, rejected, deduplicated and excluded ones."""
    splits = statistics["splits"]
    held_out = {name: splits[name] for name in HELD_OUT if name in splits}
    rows = [("entries read", statistics["entries"]), ("rejected", statistics["rejected"])]
    rows += [("merged into a record with the same sequence", statistics["deduplicated"])]
    merged = statistics.get("deduplicated_by_source", {})
    rows += [(f"of them {plain(sources)}", count) for sources, count in merged.items()]
    rows += [("excluded", statistics["excluded"])] if "excluded" in statistics else []
    rows += [("**records**", statistics["records"])]
    rows += [("of them for training", statistics["records"] - sum(held_out.values()))]
    rows += [(f"of them in `{name}`", size) for name, size in held_out.items()]
    return Part(_counts(rows))


def _confidence(statistics: Mapping) -> Part:
    panels = _panels(statistics["clusters"], position=1, published=PUBLISHED_CONFIDENCE)
    labels = {level: f"{level or '?'}\n{name}" for level, name in CONFIDENCE.items()}
    figure = figures.shares_beside_published(
        panels, labels=labels, axis_label="confidence (UniProt's protein existence)"
    )
    caption = "Share of each confidence level (bars, %) and the published share (strokes)."
    names = {level: f"{level} {name}" if level else name for level, name in CONFIDENCE.items()}
    return Part(_share_table("confidence", panels, names), {"confidence": (figure, caption)})


def _coverage(statistics: Mapping) -> Part:
    panels = _panels(statistics["clusters"], position=2, published=PUBLISHED_COVERAGE)
    figure = figures.shares_beside_published(
        panels, labels=COVERAGE, axis_label="present properties of the four"
    )
    caption = "Share of each property coverage (bars, %) and the published share (strokes)."
    return Part(_share_table("coverage", panels, COVERAGE), {"coverage": (figure, caption)})


def _panels(
    clusters: Mapping[str, int], *, position: int, published: Mapping[str, Mapping]
) -> dict:
    """Maps panel titles to shares here and published, by the level at `position` in cluster names.

    Swiss-Prot corresponds to ProtAnno-S, all records to ProtAnno-D.
    """
    panels = {}
    swissprot = {name: size for name, size in clusters.items() if name.startswith("swissprot/")}
    if swissprot:
        panels["Swiss-Prot, beside ProtAnno-S"] = (
            _shares(swissprot, position),
            published["ProtAnno-S"],
        )
    if len(swissprot) < len(clusters):
        panels["all sources, beside ProtAnno-D before sampling"] = (
            _shares(clusters, position),
            published["ProtAnno-D"],
        )
    return panels


def _shares(clusters: Mapping[str, int], position: int) -> dict[int, float]:
    levels = Counter()
    for name, size in clusters.items():
        levels[int(name.split("/")[position][1:])] += size
    return {level: size / levels.total() for level, size in levels.items()}


def _share_table(what: str, panels: Mapping, names: Mapping[int, str]) -> str:
    header = [what]
    for title in panels:
        header += [title.partition(",")[0], title.partition("beside ")[2]]
    columns = list(itertools.chain.from_iterable(panels.values()))
    rows = []
    for level, name in names.items():
        if any(level in shares for shares in columns):
            cells = [f"{100 * shares.get(level, 0):.2f} %" for shares in columns]
            rows.append([name, *cells])
    note = (
        "Shares of records after merging identical sequences, including held-out ones; the "
        "published ones are shares of entries."
    )
    return f"{table(header, rows)}\n\n{note}"


def _lengths(statistics: Mapping) -> Part:
    """Shows `lengths` in residues: bin `edges` (edge ≤ length < next), `counts` and `total`."""
    lengths, records = statistics["lengths"], statistics["records"]
    median, longer = _quantile(lengths, 0.5), 1 - _share_below(lengths, MAX_RESIDUES + 1)
    tokens = lengths["total"] + 2 * records
    text = (
        f"Half of the records have about {median:,.0f} residues or fewer; about "
        f"{100 * longer:.1f} % have more than the {MAX_RESIDUES:,} that training uses at a time. A "
        f"sequence has residues + 2 protein tokens: {tokens:,} in total, "
        f"{tokens / records:,.0f} per record."
    )
    figure = figures.length_histogram(lengths, unit="residues", limit=MAX_RESIDUES)
    return Part(text, {"lengths": (figure, "Records by length of the sequence.")})


def _texts(statistics: Mapping) -> Part:
    """Shows `biotext_words`: like `lengths`, for the words of the biotexts."""
    words = statistics["biotext_words"]
    total = words["total"]
    text = (
        f"Half of the biotexts have about {_quantile(words, 0.5):,.0f} words or fewer; together "
        f"they have {total:,}, {total / statistics['records']:,.0f} per record. The number of "
        "tokens depends on the vocabulary and is at least one per word."
    )
    figure = figures.length_histogram(words, unit="words")
    return Part(text, {"words": (figure, "Records by length of the biotext.")})


def _share_below(histogram: Mapping, value: float) -> float:
    """The share of counts below a value, if they are spread evenly within bins."""
    below = np.concatenate([[0], np.cumsum(histogram["counts"])])
    return np.interp(value, histogram["edges"], below / below[-1])


def _quantile(histogram: Mapping, share: float) -> float:
    below = np.concatenate([[0], np.cumsum(histogram["counts"])])
    return np.interp(share, below / below[-1], histogram["edges"])


def _clusters(statistics: Mapping) -> Part:
    clusters, splits = statistics["clusters"], statistics["splits"]
    training = {name: splits.get(split_name(name), 0) for name in clusters}
    try:
        sampler = make_sampler(training, seed=0)
    except UserError as error:
        mixture, message = {}, f"The expected mixture is missing: {error}"
    else:
        mixture = {row["cluster"]: row for row in sampler.table()}
        message = (
            "The draws follow property-driven sampling with its defaults, α = 3, β = 1/2, γ = 1. "
            "Swiss-Prot and records of unknown source are drawn in full, records without text "
            "(0/4) not at all. TrEMBL clusters of unknown, predicted or uncertain existence or "
            "coverage 1/4 or 2/4 are not drawn. One epoch has "
            f"{sampler.epoch_draws:,} draws. All this is configuration (`sampling`), not part of "
            "the dataset."
        )
    header = [
        "cluster (source/confidence/coverage)",
        "records",
        "training",
        "share of draws",
        "draws per epoch",
    ]
    draws = {
        name: [f"{100 * row['probability']:.2f} %", f"{row['epoch_draws']:,.0f}"]
        for name, row in mixture.items()
    }
    rows = [
        [f"`{name}`", f"{size:,}", f"{training[name]:,}", *draws.get(name, "––")]
        for name, size in clusters.items()
    ]
    shares = {name: row["probability"] for name, row in mixture.items()}
    figure = figures.cluster_grids(clusters, shares)
    caption = "Records of each cluster" + (" and its expected share of draws." if mixture else ".")
    return Part(f"{message}\n\n{table(header, rows)}", {"clusters": (figure, caption)})


def _similarity(statistics: Mapping) -> Part:
    """Shows `similarity_clusters`: number of `clusters`, size of the `largest`, and `sizes`.

    `sizes` are the `edges` and `counts` of a histogram.
    """
    found = statistics["similarity_clusters"]
    text = (
        f"There are {found['clusters']:,} clusters of similar sequences; each one is in a single "
        f"held-out split or in training. The largest has {found['largest']:,} records."
    )
    if unclustered := found.get("records_in_no_cluster"):
        text += (
            f" {unclustered:,} of {statistics['records']:,} records are missing from the cluster "
            "file and form clusters of one."
        )
    figure = figures.size_histogram(found["sizes"])
    caption = "Clusters of similar sequences by size."
    return Part(text, {"similarity_clusters": (figure, caption)})


def _rejects(statistics: Mapping) -> Part:
    parts = [
        _counts(_plain(statistics["top_rejects"]), ("reason", "entries"))
        if statistics["top_rejects"]
        else "None."
    ]
    for key, header in (
        ("rejected_by_file", "rejected from"),
        ("omitted_features", "omitted from kept entries"),
    ):
        if statistics.get(key):
            parts.append(_counts(_plain(statistics[key]), (header, "count")))
    for what, count in statistics.get("doubtful_records", {}).items():
        parts.append(f"{count:,} records look like {plain(what)}, not proteins; they are kept.")
    parts.append("`rejects.jsonl` lists every rejected entry with its file, line and reason.")
    return Part("\n\n".join(parts))


def _excluded(statistics: Mapping) -> Part:
    files = statistics.get("excluded_by_file", {})
    sequences = statistics.get("exclude_fasta_sequences", {})
    if not (statistics["excluded"] or sequences):
        return Part("None: no benchmark files were given.")
    text = (
        f"{statistics['excluded']:,} entries were left out because a benchmark file contains their "
        "sequence."
    )
    rows = [
        [plain(name), f"{files.get(name, 0):,}", _sequences(sequences, name)]
        for name in sorted({*files, *sequences})
    ]
    shown = table(["file", "entries", "sequences in the file"], rows)
    return Part(f"{text}\n\n{shown}" if rows else text)


def _sequences(counts: Mapping, name: str) -> str:
    return f"{counts[name]:,}" if name in counts else "unknown"


def _overlap(statistics: Mapping) -> Part:
    """Shows `overlap` per held-out split: `sequences`, `sampled`, `related`, `share`, `similarity`.

    `sampled` sequences were checked; `related` of these have a relative in training.
    """
    header = [
        "split",
        "sequences",
        "checked",
        "with a relative in training",
        "share",
        "minimum similarity of relatives",
    ]
    rows = []
    for name, found in statistics["overlap"].items():
        counts = [f"{found[key]:,}" for key in ("sequences", "sampled", "related")]
        share = f"{100 * found['share']:.2f} %"
        rows.append([f"`{name}`", *counts, share, f"{found['similarity']:g}"])
    parts = [table(header, rows)]
    parts.append(
        "Similarity is the share of short words that two sequences have in common, as estimated by "
        "`data_pipelines.build.minhash`. Proteins in different clusters can be this similar if "
        "they share motifs or domains."
    )
    for name, found in statistics["overlap"].items():
        if bare := found.get("related_without_text"):
            parts.append(
                f"Of `{name}`, {bare:,} have a relative among the training records without text."
            )
    if measured := statistics.get("identities"):
        header = ("identities of the nearest training records", "count")
        parts.append(_counts(_plain(measured), header))
    return Part("\n\n".join(parts))


def _provenance(statistics: Mapping) -> Part:
    provenance = statistics["provenance"]
    files = []
    for key, value in provenance.items():
        listed = value if isinstance(value, list) else [value]
        files += [(key, file) for file in listed if _is_file(file)]
    header = ["file", "given as", "bytes", "UniProt release", "SHA-256"]
    rows = [
        [
            plain(file["name"]),
            plain(key),
            f"{file['bytes']:,}",
            plain(file.get("release") or "unknown"),
            f"`{file['sha256']}`",
        ]
        for key, file in files
    ]
    options = [
        (plain(name), plain(value))
        for name, value in _flat(provenance)
        if isinstance(value, int | float | str)
    ]
    parts = [table(header, rows)]
    if options:
        parts.append(table(["option", "value"], options))
    return Part("\n\n".join(parts))


def _is_file(value: object) -> bool:
    return isinstance(value, Mapping) and {"name", "bytes", "sha256"} <= value.keys()


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the values that are not files; those of inner mappings are named `outer / inner`."""
    for key, value in values.items():
        if not isinstance(value, Mapping):
            yield key, value
        elif not _is_file(value):
            yield from ((f"{key} / {name}", inner) for name, inner in _flat(value))


def _licence(statistics: Mapping) -> Part:
    return Part(LICENCE)


SECTIONS: Mapping[str, tuple[tuple[str, ...], Callable[[Mapping], Part]]] = {
    "Contents": (("entries", "records", "rejected", "deduplicated", "splits"), _contents),
    "Confidence": (("clusters",), _confidence),
    "Coverage": (("clusters",), _coverage),
    "Sequences": (("lengths", "records"), _lengths),
    "Biotexts": (("biotext_words", "records"), _texts),
    "Clusters and expected mixture": (("clusters", "splits"), _clusters),
    "Similarity clusters": (("similarity_clusters",), _similarity),
    "Rejects": (("top_rejects",), _rejects),
    "Exclusions": (("excluded",), _excluded),
    "Overlap of training and held-out records": (("overlap",), _overlap),
    "Provenance": (("provenance",), _provenance),
    "Licence": ((), _licence),
}
"""Title → the keys of the statistics that the section needs, and its function."""


def _plain(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(plain(name), count) for name, count in counts.items()]


def _counts(rows: Sequence[tuple[str, int]], header: Sequence[str] = ("", "count")) -> str:
    return table(header, [[name, f"{count:,}"] for name, count in rows])

"""The sections of a dataset's report, each from the keys of `statistics.json` that it needs."""

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
"""Shares of the confidence levels in the ProtCLIP paper's data; D (Swiss-Prot and TrEMBL) before
sampling."""

PUBLISHED_COVERAGE = {
    "ProtAnno-S": {1: 0.0259, 2: 0.1062, 3: 0.3691, 4: 0.4988},
    "ProtAnno-D": {1: 0.6211, 2: 0.1814, 3: 0.1182, 4: 0.0793},
}
"""Shares of the property coverages, in quarters, in the same data."""

MAX_RESIDUES = 1022
"""Residues of the 1,024 tokens that training takes by default; <cls> and <eos> are the other
two."""

LICENCE = """\
UniProt's data are licensed under [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/), and so
is this dataset, which is derived from them. Whoever passes it on, or something made from it, names
the source, [UniProt](https://www.uniprot.org) (The UniProt Consortium), links the licence, and says
what was changed: entries were read into records of sequence, names, comments and features,
identical sequences were merged into one record, and the records were split for training and
evaluation. Entries from elsewhere, such as a lab's own table, have their own terms."""


class Part(NamedTuple):
    """What a section shows: Markdown, and figures by file name with their captions."""

    text: str
    figures: Mapping[str, tuple[Figure, str]] = {}


def _contents(statistics: Mapping) -> Part:
    """How the entries became records: entries = records + rejected + deduplicated + excluded."""
    splits = statistics["splits"]
    held_out = {name: splits[name] for name in HELD_OUT if name in splits}
    rows = [("entries read", statistics["entries"]), ("rejected", statistics["rejected"])]
    rows += [("merged into a record of the same sequence", statistics["deduplicated"])]
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
    caption = "Share of each confidence level (bars, %) beside the published one (strokes)."
    names = {level: f"{level} {name}" if level else name for level, name in CONFIDENCE.items()}
    return Part(_share_table("confidence", panels, names), {"confidence": (figure, caption)})


def _coverage(statistics: Mapping) -> Part:
    panels = _panels(statistics["clusters"], position=2, published=PUBLISHED_COVERAGE)
    figure = figures.shares_beside_published(
        panels, labels=COVERAGE, axis_label="present properties of the four"
    )
    caption = "Share of each property coverage (bars, %) beside the published one (strokes)."
    return Part(_share_table("coverage", panels, COVERAGE), {"coverage": (figure, caption)})


def _panels(
    clusters: Mapping[str, int], *, position: int, published: Mapping[str, Mapping]
) -> dict:
    """Title → shares here and published, by the level at `position` of a cluster's name:
    Swiss-Prot as S, everything as D."""
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
    header = [what] + [
        cell
        for title in panels
        for cell in (title.partition(",")[0], title.partition("beside ")[2])
    ]
    rows = [
        [name]
        + [f"{100 * shares.get(level, 0):.2f} %" for pair in panels.values() for shares in pair]
        for level, name in names.items()
        if any(level in shares for pair in panels.values() for shares in pair)
    ]
    note = (
        "Shares of the records after identical sequences were merged, held-out ones included; "
        "published: of the entries."
    )
    return f"{table(header, rows)}\n\n{note}"


def _lengths(statistics: Mapping) -> Part:
    """`lengths` of the sequences in residues: `edges` of the bins (edge ≤ length < next edge),
    their `counts`, and `total`."""
    lengths, records = statistics["lengths"], statistics["records"]
    median, longer = _quantile(lengths, 0.5), 1 - _share_below(lengths, MAX_RESIDUES + 1)
    tokens = lengths["total"] + 2 * records
    text = (
        f"Half of the records have about {median:,.0f} residues or fewer; about "
        f"{100 * longer:.1f} % have more than the "
        f"{MAX_RESIDUES:,} that training takes at a time. Residues + 2 are protein tokens: "
        f"{tokens:,} in all, "
        f"{tokens / records:,.0f} a record."
    )
    figure = figures.length_histogram(lengths, unit="residues", limit=MAX_RESIDUES)
    return Part(text, {"lengths": (figure, "Records by length of the sequence.")})


def _texts(statistics: Mapping) -> Part:
    """`biotext_words`: as `lengths`, of the biotexts in words."""
    words = statistics["biotext_words"]
    text = (
        f"Half of the biotexts have about {_quantile(words, 0.5):,.0f} words or fewer; they "
        f"have {words['total']:,} in all, "
        f"{words['total'] / statistics['records']:,.0f} a record. How many tokens that makes "
        "depends on the vocabulary: at "
        "least one a word."
    )
    figure = figures.length_histogram(words, unit="words")
    return Part(text, {"words": (figure, "Records by length of the biotext.")})


def _share_below(histogram: Mapping, value: float) -> float:
    """The share of the counts below a value, as if they were spread evenly in a bin."""
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
        mixture, message = {}, f"The expected mixture is left out: {error}."
    else:
        mixture = {row["cluster"]: row for row in sampler.table()}
        message = (
            "Draws are those of property-driven sampling with its defaults, α = 3, β = 1/2, "
            "γ = 1: Swiss-Prot and records of "
            "unknown source whole, records without text (0/4) not at all, and of TrEMBL no "
            "clusters of unknown, predicted and "
            "uncertain existence and of coverage 1/4 and 2/4; one epoch has "
            f"{sampler.epoch_draws:,}. They are configuration (`sampling`), not part of the "
            "dataset."
        )
    header = [
        "cluster (source/confidence/coverage)",
        "records",
        "training",
        "share of the draws",
        "draws in an epoch",
    ]
    draws = {
        name: [f"{100 * row['probability']:.2f} %", f"{row['epoch_draws']:,.0f}"]
        for name, row in mixture.items()
    }
    rows = [
        [f"`{name}`", f"{size:,}", f"{training[name]:,}", *draws.get(name, "––")]
        for name, size in clusters.items()
    ]
    figure = figures.cluster_grids(
        clusters, {name: row["probability"] for name, row in mixture.items()}
    )
    caption = "Records of each cluster" + (
        " and its expected share of the draws." if mixture else "."
    )
    return Part(f"{message}\n\n{table(header, rows)}", {"clusters": (figure, caption)})


def _similarity(statistics: Mapping) -> Part:
    """`similarity_clusters`: how many `clusters`, records of the `largest`, and `sizes` as
    `edges` and `counts` of clusters."""
    found = statistics["similarity_clusters"]
    text = (
        f"{found['clusters']:,} clusters of similar sequences, each of which lies in one "
        "split or in training as a whole; the "
        f"largest has {found['largest']:,} records."
    )
    if unclustered := found.get("records_in_no_cluster"):
        text += (
            f" {unclustered:,} of {statistics['records']:,} records are in no cluster of the "
            "file, each by itself."
        )
    figure = figures.size_histogram(found["sizes"])
    return Part(
        text, {"similarity_clusters": (figure, "Clusters of similar sequences by their size.")}
    )


def _rejects(statistics: Mapping) -> Part:
    parts = [
        _counts(_plain(statistics["top_rejects"]), ("reason", "entries"))
        if statistics["top_rejects"]
        else "None."
    ]
    for key, header in (
        ("rejected_by_file", "rejected from"),
        ("omitted_features", "left out, the entries kept"),
    ):
        if statistics.get(key):
            parts.append(_counts(_plain(statistics[key]), (header, "count")))
    for what, count in statistics.get("doubtful_records", {}).items():
        parts.append(
            f"{count:,} records look like {plain(what)}, not like proteins; they are kept."
        )
    return Part(
        "\n\n".join(
            [*parts, "`rejects.jsonl` lists every rejected entry with its file, place and reason."]
        )
    )


def _excluded(statistics: Mapping) -> Part:
    files, sequences = (
        statistics.get("excluded_by_file", {}),
        statistics.get("exclude_fasta_sequences", {}),
    )
    if not (statistics["excluded"] or sequences):
        return Part("None: no benchmark files were given.")
    text = (
        f"{statistics['excluded']:,} entries were left out because given benchmark files hold "
        "their sequence."
    )
    rows = [
        [plain(name), f"{files.get(name, 0):,}", _sequences(sequences, name)]
        for name in sorted({*files, *sequences})
    ]
    return Part(
        f"{text}\n\n{table(['file', 'entries', 'sequences in the file'], rows)}" if rows else text
    )


def _sequences(counts: Mapping, name: str) -> str:
    return f"{counts[name]:,}" if name in counts else "not told"


def _overlap(statistics: Mapping) -> Part:
    """`overlap`: held-out split → `sequences`; `sampled`, those looked up; `related` of these,
    `share`; and `similarity`."""
    header = [
        "split",
        "sequences",
        "looked up",
        "with a relative in training",
        "share",
        "relatives: similarity at least",
    ]
    rows = [
        [f"`{name}`", *(f"{found[key]:,}" for key in ("sequences", "sampled", "related"))]
        + [f"{100 * found['share']:.2f} %", f"{found['similarity']:g}"]
        for name, found in statistics["overlap"].items()
    ]
    parts = [table(header, rows)]
    parts.append(
        "Similarity is the share of common short words of the sequences that "
        "`data_pipelines.build.minhash` estimates. "
        "Proteins of different clusters can be so similar where they share motifs or domains."
    )
    for name, found in statistics["overlap"].items():
        if bare := found.get("related_without_text"):
            parts.append(
                f"Of `{name}`, {bare:,} have a relative among the training records without text."
            )
    if measured := statistics.get("identities"):
        parts.append(
            _counts(list(_plain(measured)), ("identities of the nearest training records", "count"))
        )
    return Part("\n\n".join(parts))


def _provenance(statistics: Mapping) -> Part:
    provenance = statistics["provenance"]
    listed = {
        key: value if isinstance(value, list) else [value] for key, value in provenance.items()
    }
    files = [(key, file) for key, values in listed.items() for file in values if _is_file(file)]
    header = ["file", "given as", "bytes", "UniProt release", "SHA-256"]
    rows = [
        [
            plain(file["name"]),
            plain(key),
            f"{file['bytes']:,}",
            plain(file.get("release") or "not told"),
            f"`{file['sha256']}`",
        ]
        for key, file in files
    ]
    options = [
        (plain(name), plain(value))
        for name, value in _flat(provenance)
        if isinstance(value, int | float | str)
    ]
    return Part(
        "\n\n".join(
            [table(header, rows)] + ([table(["option", "value"], options)] if options else [])
        )
    )


def _is_file(value: object) -> bool:
    return isinstance(value, Mapping) and {"name", "bytes", "sha256"} <= value.keys()


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values of a mapping that are no files, those of inner mappings as `outer / inner`."""
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
"""Title → the keys of the statistics that a section needs, and what makes it."""


def _plain(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(plain(name), count) for name, count in counts.items()]


def _counts(rows: Sequence[tuple[str, int]], header: Sequence[str] = ("", "count")) -> str:
    return table(header, [[name, f"{count:,}"] for name, count in rows])

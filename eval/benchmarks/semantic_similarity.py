"""Semantic similarity: do embeddings agree with functional similarity? PROBE's protocol.

For pairs of human proteins PROBE (Unsal et al. 2022, https://doi.org/10.1038/s42256-022-00457-9)
gives the Lin similarity of their GO annotations by aspect (MF, BP, CC): for all pairs of the 500 or
the 200 best annotated proteins, and for a sparse set of pairs spread evenly over similarity. The
result is its Spearman correlation with the embeddings' similarity, with SciPy's p-value. Every
unordered pair counts once, without self-pairs: PROBE takes the pairs (i, j) with j > i, which drops
one of MF's 247 sparse pairs, a protein with itself.

The p-value assumes independent pairs. They are not: a protein is in hundreds of them. The interval
therefore draws proteins, not pairs.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from eval.benchmarks.base.family import BenchmarkFamily, Measured, Setup
from eval.data.base import known_sources
from eval.data.base.audit import audit_similarity
from eval.data.base.benchmark import Benchmark
from eval.data.base.published import FROZEN, data_size, published_row
from eval.data.base.task import SimilarityTable
from eval.data.importers.kgsim import KGSIM
from eval.data.importers.similarity import ASPECTS, PROBE, SIMILARITY_TABLES
from eval.metrics import correlation_p_value, spearman_of_counts
from eval.metrics.pairs import resampled_pair_counts
from eval.metrics.statistics import UNKNOWN, Interval, percentile_interval
from eval.protocols.sequence_features import composition

RESAMPLES = 1000
NUMBERS_AT_ONCE = 2**22


def cosine(a: Float[np.ndarray, "P D"], b: Float[np.ndarray, "P D"]) -> Float[np.ndarray, " P"]:
    """a·b / (‖a‖·‖b‖) by row; 0 beside a zero vector."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide(np.sum(a * b, axis=1), norms, out=np.zeros_like(norms), where=norms > 0)


def manhattan(a: Float[np.ndarray, "P D"], b: Float[np.ndarray, "P D"]) -> Float[np.ndarray, " P"]:
    """1 − ‖a − b‖₁ / (‖a‖₁ + ‖b‖₁) by row; 1 for two zero vectors."""
    norms = np.abs(a).sum(1) + np.abs(b).sum(1)
    return 1 - np.divide(np.abs(a - b).sum(1), norms, out=np.zeros_like(norms), where=norms > 0)


MEASURES: dict[str, Callable[..., np.ndarray]] = {"cosine": cosine, "manhattan": manhattan}


@dataclasses.dataclass(frozen=True)
class Agreement:
    """The agreement of the embeddings' similarity with Lin's."""

    correlation: float
    """Spearman's."""
    p_value: float
    """Two-sided, assuming independent pairs."""
    interval: Interval
    """95 %, by a bootstrap over proteins."""
    pairs: int
    """Pairs counted."""
    proteins: int
    """Proteins in them."""
    self_pairs: int
    """Self-pairs, left out as in PROBE."""
    without_embedding: int
    """Pairs left out because a protein has no embedding."""


def agreement(
    embeddings: Float[np.ndarray, "n D"],
    table: SimilarityTable,
    *,
    measure: str,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Agreement:
    """Computes PROBE's result for one table and measure; NaN if either similarity is constant.

    Args:
      embeddings: row i belongs to `table.names[i]`; a row with NaN means no embedding.
    """
    embeddings = np.asarray(embeddings, np.float64)
    itself = table.pairs[:, 0] == table.pairs[:, 1]
    missing = np.isnan(embeddings).any(1)[table.pairs].any(1) & ~itself
    counted = ~itself & ~missing
    pairs, lin = table.pairs[counted], table.similarity[counted]
    correlation = spearman_of_counts(pair_similarity(embeddings, pairs, measure=measure), lin)
    rho = correlation(np.ones(len(pairs), int))
    return Agreement(
        correlation=rho,
        p_value=correlation_p_value(rho, len(pairs)),
        interval=_interval_over_proteins(correlation, pairs, seed=seed, resamples=resamples),
        pairs=len(pairs),
        proteins=len(np.unique(pairs)),
        self_pairs=int(itself.sum()),
        without_embedding=int(missing.sum()),
    )


def agreements(
    embeddings: Mapping[str, Float[np.ndarray, " D"]],
    tables: Iterable[SimilarityTable],
    *,
    seed: int = 0,
) -> dict[str, Agreement]:
    """`agreement` by each measure on each table, under `<set>_<measure>`, e.g. `sparse_manhattan`.

    Args:
      embeddings: by accession; missing ones are counted in `without_embedding`.
    """
    width = len(next(iter(embeddings.values()), np.zeros(1)))
    absent = np.full(width, np.nan)
    results = {}
    for table in tables:
        rows = np.array([embeddings.get(name, absent) for name in table.names]).reshape(
            len(table.names), width
        )
        for measure in MEASURES:
            results[f"{table.set}_{measure}"] = agreement(rows, table, measure=measure, seed=seed)
    return results


def pair_similarity(
    embeddings: Float[np.ndarray, "n D"], pairs: Int[np.ndarray, "P 2"], *, measure: str
) -> Float[np.ndarray, " P"]:
    """The similarity of the embeddings of each pair."""
    rows = max(1, NUMBERS_AT_ONCE // max(1, embeddings.shape[1]))
    parts = [pairs[start : start + rows] for start in range(0, len(pairs), rows)]
    return np.concatenate(
        [
            np.zeros(0),
            *(MEASURES[measure](embeddings[part[:, 0]], embeddings[part[:, 1]]) for part in parts),
        ]
    )


def _interval_over_proteins(
    correlation, pairs: Int[np.ndarray, "P 2"], *, seed: int, resamples: int
) -> Interval:
    """The bootstrap interval over proteins."""
    drawn = resampled_pair_counts(pairs, seed=seed, resamples=resamples)
    values = [correlation(counts) for part in drawn for counts in part]
    return percentile_interval(values) if values else UNKNOWN


def _benchmark(name: str, aspect: str) -> Benchmark:
    matrix = f"human_{aspect}_proteinSimilarityMatrix_for_highest_annotated_{{}}_proteins.csv"
    coordinates = f"SparsifiedSimilarityCoordinates_{aspect}_for_highest_500.npy"
    return Benchmark(
        name,
        f"{matrix.format(500)}, the same of 200, and {coordinates} of PROBE, from "
        "github.com/HUBioDataLab/PROBE, and the proteins' FASTA from UniProt",
        (PROBE, SIMILARITY_TABLES),
        {
            "format": "probe",
            "matrices": {size: f"probe/{matrix.format(size)}" for size in ("500", "200")},
            "coordinates": f"probe/{coordinates}",
            "sequences": "probe/human_proteins.fasta",
        },
        source=known_sources.PROBE,
    )


def _kgsim(name: str, kind: str, species: str) -> Benchmark:
    """Pairs of kgsim-benchmark, one set per species."""
    return Benchmark(
        name,
        f"{kind}_*.csv of kgsim-benchmark, from github.com/liseda-lab/kgsim-benchmark, and "
        "the proteins' FASTA from UniProt",
        (KGSIM, SIMILARITY_TABLES),
        {
            "format": "kgsim",
            "files": {one: f"kgsim/{kind}_{one}.csv" for one in species.split()},
            "sequences": "kgsim/sequences.fasta",
        },
        source=known_sources.KGSIM,
    )


_NAMES = "similarity_mf similarity_bp similarity_cc"
_COMPOSITION = "amino-acid composition (PROBE)"
_PROBE = "PROBE, github.com/HUBioDataLab/PROBE@9ff8219, results/Semantic_sim_inference_{}_AAC.csv"


class SemanticSimilarity(BenchmarkFamily):
    """Agreement of the embeddings' similarity with that of annotations.

    The data are the tables of an aspect's sets.
    """

    name = "semantic_similarity"
    title = "Semantic similarity"
    protocol = FROZEN
    benchmarks = (
        *(_benchmark(name, aspect) for name, aspect in ASPECTS.items()),
        _kgsim("similarity_kgsim", "MF", "DM3 EC3 SC3"),
        _kgsim("similarity_kgsim_ppi", "PPI", "DM3 EC3 HS3"),
    )
    published = (
        *published_row(
            _NAMES,
            _COMPOSITION,
            "500_cosine",
            "0.04322 0.01887 0.04812",
            _PROBE.format(500),
            FROZEN,
        ),
        *published_row(
            _NAMES,
            _COMPOSITION,
            "500_manhattan",
            "0.04915 0.01649 0.0457",
            _PROBE.format(500),
            FROZEN,
        ),
        *published_row(
            _NAMES, _COMPOSITION, "200_cosine", "0.0431 0.03676 0.0989", _PROBE.format(200), FROZEN
        ),
        *published_row(
            _NAMES,
            _COMPOSITION,
            "200_manhattan",
            "0.04912 0.0397 0.09393",
            _PROBE.format(200),
            FROZEN,
        ),
        *published_row(
            _NAMES,
            _COMPOSITION,
            "sparse_cosine",
            "-0.00339 0.21992 0.07592",
            _PROBE.format("Sparse"),
            FROZEN,
        ),
        *published_row(
            _NAMES,
            _COMPOSITION,
            "sparse_manhattan",
            "-0.01205 0.2141 0.09121",
            _PROBE.format("Sparse"),
            FROZEN,
        ),
    )
    sizes = (
        # All pairs of 497, 497 and 495 proteins, and of 200; PROBE's p-values match these counts.
        data_size(
            "similarity_mf", _PROBE.format("*"), **{"500": 123256, "200": 19900, "sparse": 246}
        ),
        data_size(
            "similarity_bp", _PROBE.format("*"), **{"500": 123256, "200": 19900, "sparse": 247}
        ),
        data_size(
            "similarity_cc", _PROBE.format("*"), **{"500": 122265, "200": 19900, "sparse": 245}
        ),
    )

    def proteins(self, data: tuple[SimilarityTable, ...]) -> list[str]:
        """The proteins of all sets, each once."""
        return list(dict.fromkeys(sequence for table in data for sequence in table.sequences))

    def measure(self, setup: Setup, name: str, data: tuple[SimilarityTable, ...]) -> Measured:
        """Correlations by set and measure, with amino-acid composition beside the embeddings."""
        del name
        known = {
            accession: seq
            for table in data
            for accession, seq in zip(table.names, table.sequences, strict=True)
        }
        found, result = {}, {}
        for source, features in {"embeddings": setup.embed, "composition": composition}.items():
            vectors = dict(zip(known, features(list(known.values())), strict=True))
            found[source] = agreements(vectors, data)
            result[source] = {
                key: dataclasses.asdict(value) for key, value in found[source].items()
            }
        headline = {
            key: {"mean": value.correlation, "std": None, "interval": value.interval}
            for key, value in found["embeddings"].items()
        }
        of_composition = {
            key: {"mean": value.correlation} for key, value in found["composition"].items()
        }
        return Measured(
            result | {"controls": [{"protocol": "composition", "metrics": of_composition}]},
            headline,
        )

    def counts(self, data: tuple[SimilarityTable, ...]) -> dict[str, int]:
        """Pairs of distinct proteins by set."""
        return {table.set: int((table.pairs[:, 0] != table.pairs[:, 1]).sum()) for table in data}

    def audit(self, data: tuple[SimilarityTable, ...]) -> dict:
        """See `audit_similarity`, by set."""
        return {table.set: audit_similarity(table) for table in data}

    def parts(self, data: tuple[SimilarityTable, ...]) -> tuple[SimilarityTable, ...]:
        """The sets."""
        return data

    def joined(self, parts: Sequence[SimilarityTable]) -> tuple[SimilarityTable, ...]:
        """All sets."""
        return tuple(parts)

"""Online property-driven sampling: the record of draw i is a pure function of (seed, i).

A cluster has the records of one source with the same protein existence C and property coverage R.
Swiss-Prot is sampled in full and uniformly, and so are records of unknown source, which the user
chose to add. A TrEMBL cluster of N records has the mass C^-alpha · R^beta · N^gamma (ProtCLIP,
property-driven sampling). Records without text (R = 0), from any source, are drawn uniformly and
have their own share, 0 by default; they only serve masked language modelling.

Draws come in blocks with an exact quota per cluster, so any range of draws follows the mixture
closely. A restart is free, because there is no state.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext

import numpy as np

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.record import PROPERTIES, SOURCES

BLOCK_DRAWS = 8192
"""Mean draws per block; much more than the number of clusters, the error of a block's size."""

_WEIGHT_BITS = 60
_FEISTEL_ROUNDS = 6
# Feistel networks over fewer than 2^6 values favour some permutations by a third.
_MIN_HALF_BITS = 3
# Domains of the hashes of the seed: each use of the seed has its own.
_DITHER, _ORDER, _RECORD = 1, 2, 3


def _mix(value: np.ndarray) -> np.ndarray:
    """The splitmix64 finalizer: a bijection of uint64; each input bit affects all output bits."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _hash(*parts: int | np.ndarray) -> np.ndarray:
    """Hashes integers or arrays of them (broadcast) to uint64, modulo 2^64 on every machine."""
    state = np.zeros(1, np.uint64)
    for part in parts:
        part = part.astype(np.uint64) if isinstance(part, np.ndarray) else np.uint64(part % 2**64)
        state = _mix(state ^ part)
    return state


def permute(index: np.ndarray, *, size: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Returns element `index` of the permutation of 0…size-1 selected by `key`; all int64 [n].

    A Feistel network over an even power of two ≥ `size` is applied until the value falls below
    `size` (cycle walking). That gives a bijection of 0…size-1 for every key, in constant memory.
    """
    bits = np.frexp((size - 1).astype(np.float64))[1]
    half = np.maximum(_MIN_HALF_BITS, (bits + 1) // 2).astype(np.uint64)
    value, size = index.astype(np.uint64), size.astype(np.uint64)
    round_keys = [_hash(key, step) for step in range(_FEISTEL_ROUNDS)]
    walking = np.arange(len(value))
    while walking.size:
        shift, mask = half[walking], (np.uint64(1) << half[walking]) - np.uint64(1)
        left, right = value[walking] >> shift, value[walking] & mask
        for round_key in round_keys:
            left, right = right, left ^ (_mix(round_key[walking] ^ right) & mask)
        value[walking] = left << shift | right
        walking = walking[value[walking] >= size[walking]]
    return value.astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Sampler:
    """The mixture over clusters and its draws. Immutable, hashable, picklable.

    Attributes:
      seed: seed of the draws.
      clusters: names such as `swissprot/C1/R4`, sorted; dropped clusters have weight 0.
      sizes: records per cluster.
      weights: cluster probabilities in units of 2^-60; integers, so quotas are exact on every
        machine.
      epoch_draws: draws per epoch: |Swiss-Prot| + |unknown source| + Σ N · C^-alpha · R^beta over
        the drawn clusters, plus the share of draws without text, rounded.
    """

    seed: int
    clusters: tuple[str, ...]
    sizes: tuple[int, ...]
    weights: tuple[int, ...]
    epoch_draws: int

    @property
    def probabilities(self) -> np.ndarray:
        """float64 [clusters]; sums to 1."""
        return np.array([weight / sum(self.weights) for weight in self.weights])

    def table(self) -> list[dict[str, str | int | float]]:
        """One row per cluster for reports: cluster, records, probability, draws per epoch."""
        columns = zip(self.clusters, self.sizes, self.probabilities, strict=True)
        return [
            {
                "cluster": cluster,
                "records": size,
                "probability": float(share),
                "epoch_draws": float(share * self.epoch_draws),
            }
            for cluster, size, share in columns
        ]

    def draws(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the records of draws `indices` (int64 [n], ≥ 0, any order).

        The result is the cluster index and the record index in that cluster, both int64 [n]. The
        k-th draw from a cluster of N records is element k mod N of a permutation that is new for
        every pass k div N. So records are drawn without replacement until the cluster is exhausted.
        """
        clusters, ordinals = np.empty_like(indices), np.empty_like(indices)
        blocks = self._blocks(indices)
        for block in np.unique(blocks):
            (inside,) = np.nonzero(blocks == block)
            offsets = indices[inside] - _quotas(self, int(block)).sum()
            block_clusters, block_ordinals = _block(self, int(block))
            clusters[inside], ordinals[inside] = block_clusters[offsets], block_ordinals[offsets]
        size = np.array(self.sizes)[clusters]
        key = _hash(self.seed, _RECORD, _name_keys(self.clusters)[clusters], ordinals // size)
        return clusters, permute(ordinals % size, size=size, key=key)

    def _blocks(self, indices: np.ndarray) -> np.ndarray:
        """The block of each draw; blocks start within len(clusters) of multiples of BLOCK_DRAWS."""
        guesses = indices // BLOCK_DRAWS
        blocks = np.empty_like(indices)
        for guess in np.unique(guesses):
            inside = guesses == guess
            starts = [_quotas(self, int(block)).sum() for block in (guess, guess + 1)]
            blocks[inside] = guess - 1 + np.searchsorted(starts, indices[inside], side="right")
        return blocks


# The streams of a process stay within a few blocks of each other and advance in many small steps.
_remember = functools.lru_cache(maxsize=16)


@_remember
def _quotas(sampler: Sampler, block: int) -> np.ndarray:
    """Draws per cluster before `block`, int64: floor(block · BLOCK_DRAWS · p + dither), exactly."""
    # The dither in [0, 1) spreads the first draws of rare clusters over the blocks.
    hashes = _hash(sampler.seed, _DITHER, _name_keys(sampler.clusters))
    dithers = hashes >> np.uint64(64 - _WEIGHT_BITS)
    pairs = zip(sampler.weights, dithers.tolist(), strict=True)
    return np.array(
        [(block * BLOCK_DRAWS * weight + dither) >> _WEIGHT_BITS for weight, dither in pairs]
    )


@_remember
def _block(sampler: Sampler, block: int) -> tuple[np.ndarray, np.ndarray]:
    """The cluster of each draw in a block, and its ordinal in that cluster; int64 [draws] each."""
    before, after = _quotas(sampler, block), _quotas(sampler, block + 1)
    counts = after - before
    order = np.argsort(_hash(sampler.seed, _ORDER, block, np.arange(counts.sum())), kind="stable")
    clusters = np.repeat(np.arange(len(counts)), counts)[order]
    ordinals = np.empty_like(clusters)
    ranges = map(np.arange, before, after)
    ordinals[np.argsort(clusters, kind="stable")] = np.concatenate(list(ranges))
    return clusters, ordinals


@_remember
def _name_keys(clusters: tuple[str, ...]) -> np.ndarray:
    """uint64 [clusters] hashes of the names; a cluster's order is independent of other clusters."""
    return np.array([hash64(name) for name in clusters], np.uint64)


def make_sampler(
    sizes: Mapping[str, int],
    *,
    seed: int,
    alpha: float = 3.0,
    beta: float = 0.5,
    gamma: float = 1.0,
    drop_confidence: Sequence[int] = (0, 4, 5),
    drop_coverage: Sequence[int] = (1, 2),
    sources: Mapping[str, float] | None = None,
    without_text: float = 0.0,
) -> Sampler:
    """Creates the sampler over clusters of training records.

    Args:
      sizes: records per cluster, such as {"swissprot/C1/R4": 1200, "trembl/C3/R3": 90000}.
      alpha, beta, gamma: exponents of confidence, coverage and size in a TrEMBL cluster's mass.
      drop_confidence, drop_coverage: existence levels 0…5 and coverages in quarters 1…4 of TrEMBL
        clusters that are never drawn.
      sources: relative share of each source, such as {"swissprot": 1, "trembl": 1}; 0 = not drawn.
        If any share is above 0, missing sources are not drawn. Otherwise, and by default, the
        shares are |Swiss-Prot| : |unknown source| : Σ N · C^-alpha · R^beta.
      without_text: share of the draws that take records without text, from 0 to 1.

    Raises:
      UserError: no cluster is left to draw from, a share is invalid, or a cluster of unknown
        existence is not dropped.

    Example:
        >>> sampler = make_sampler({"swissprot/C1/R4": 3, "trembl/C4/R4": 9}, seed=0)
        >>> dict(zip(sampler.clusters, sampler.probabilities.tolist()))
        {'swissprot/C1/R4': 1.0, 'trembl/C4/R4': 0.0}
        >>> clusters, records = sampler.draws(np.arange(3))
        >>> sorted(records.tolist())
        [0, 1, 2]
    """
    clusters = tuple(sorted(cluster for cluster, size in sizes.items() if size > 0))
    masses, epoch, bare = {}, {}, {}
    # Decimal arithmetic is specified to the last digit; float powers differ between C libraries.
    with localcontext(prec=50):
        for cluster in clusters:
            source, confidence, coverage = _parse(cluster)
            size = Decimal(sizes[cluster])
            if not coverage:
                bare[cluster] = size
            elif source != "trembl":
                masses[cluster] = epoch[cluster] = size
            elif confidence in drop_confidence or coverage in drop_coverage:
                masses[cluster] = epoch[cluster] = Decimal(0)
            elif confidence == 0:
                raise UserError(
                    f"cluster {cluster} has no protein existence level, so C^-alpha is undefined; "
                    "add 0 to sampling.drop_confidence."
                )
            else:
                factor = Decimal(confidence) ** -Decimal(alpha) * (
                    Decimal(coverage) / len(PROPERTIES)
                ) ** Decimal(beta)
                masses[cluster], epoch[cluster] = factor * size ** Decimal(gamma), factor * size
        mass, epoch = _by_source(masses), _by_source(epoch)
        apart = _share_without_text(without_text, bare)
        shares = _shares(epoch, sources) if apart < 1 else dict.fromkeys(SOURCES, Decimal(0))
        probabilities = {c: apart * size / sum(bare.values()) for c, size in bare.items()}
        for cluster, own in masses.items():
            source = _parse(cluster)[0]
            probabilities[cluster] = (1 - apart) * shares[source] * own / (mass[source] or 1)
        weights = [int(round(probabilities[cluster] * 2**_WEIGHT_BITS)) for cluster in clusters]
        described = sum(epoch[source] for source in SOURCES if shares[source])
        epoch_draws = int(round(described / (1 - apart) if apart < 1 else sum(bare.values())))
    counts = [int(sizes[cluster]) for cluster in clusters]
    return Sampler(seed, clusters, tuple(counts), tuple(weights), epoch_draws)


def _parse(cluster: str) -> tuple[str, int, int]:
    """Parses `trembl/C3/R2` to ("trembl", 3, 2)."""
    source, confidence, coverage = cluster.split("/")
    return source, int(confidence[1:]), int(coverage[1:])


def _share_without_text(share: float, bare: Mapping[str, Decimal]) -> Decimal:
    if not 0 <= share <= 1:
        raise UserError(f"sampling.without_text={share} must be from 0 to 1.")
    if share and not bare:
        raise UserError(
            f"sampling.without_text={share}, but the dataset has no training records without text; "
            "build it with some, or set sampling.without_text=0."
        )
    return Decimal(share)


def _by_source(values: Mapping[str, Decimal]) -> dict[str, Decimal]:
    totals = dict.fromkeys(SOURCES, Decimal(0))
    for cluster, value in values.items():
        totals[_parse(cluster)[0]] += value
    return totals


def _shares(
    epoch: Mapping[str, Decimal], sources: Mapping[str, float] | None
) -> dict[str, Decimal]:
    """The shares of the sources, normalized; each share above 0 has records to draw."""
    sources = sources or {}
    if unknown := set(sources) - set(SOURCES):
        raise UserError(
            f"unknown source {min(unknown)!r} in sampling.sources; expected {', '.join(SOURCES)}."
        )
    unset = dict.fromkeys(epoch, Decimal(0)) if any(sources.values()) else epoch
    shares = {source: Decimal(sources.get(source, unset[source])) for source in SOURCES}
    for source, share in shares.items():
        if share < 0:
            raise UserError(
                f"sampling.sources.{source}={share} is negative; it must be at least 0."
            )
        if share > 0 and not epoch[source]:
            raise UserError(
                f"sampling.sources.{source}={share}, but sampling.drop_confidence and "
                "sampling.drop_coverage leave no training records of that source; build the "
                "dataset with such records, drop less, or remove the share."
            )
    if not (total := sum(shares.values())):
        raise UserError(
            "no training records are left to draw; relax sampling.drop_confidence, "
            "sampling.drop_coverage or sampling.sources, or build the dataset with more entries."
        )
    return {source: share / total for source, share in shares.items()}

"""Cross-modal transformation over a knowledge graph: from a head's embedding to its tails.

The protocol is BioBridge's (Wang et al., ICLR 2024) on PrimeKG. One bridge (`bridge.py`) is trained
on triplets between nodes of six types with frozen embeddings. One in ten heads is held out and
ranks all nodes of the tails' type by cosine (`tail_queries.py`). Disease2Prot maps disease →
protein. Three things differ: only heads of the benchmarks' own types are held out, another tenth
chooses the step, and embeddings are standardised by type.

A graph holds each relation in both directions. BioBridge trains on triplets whose tail is a
held-out head (`reverse_triplets` "kept"), although they are the reverse of those queried; without
them ("removed") the bridge must generalise. One bridge is trained each way, and both are reported.

Controls: a bridge that is not given the relation, candidates ranked by their number of training
triplets, and chance.
"""

from collections.abc import Container, Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float32, Int
from ml_collections import ConfigDict

from data_pipelines.common.errors import UserError
from eval.benchmarks.cross_modal.bridge import Bridge, Places
from eval.benchmarks.cross_modal.bridge_training import (
    EmbeddedGraph,
    Trained,
    node_vectors,
    query_vectors,
    train_bridge,
)
from eval.benchmarks.cross_modal.node_embeddings import DRUG, embeddable, sources
from eval.benchmarks.cross_modal.tail_queries import (
    TEST,
    VALID,
    Queries,
    Ranks,
    hold_out,
    join,
    make_queries,
    of_chance,
    of_frequency,
    rank,
    training_triplets,
)
from eval.data.base.missing import MissingData
from eval.data.base.task import KnowledgeGraph
from eval.data.graphs.graph import PROTEIN
from eval.metrics import hits_at, mean_reciprocal_rank
from eval.metrics.ranking import reciprocal_rank
from eval.metrics.statistics import bootstrap_interval, mean_and_std
from eval.protocols.standardise import standardise

BENCHMARKS = {
    "prot2bp": (PROTEIN, "biological_process"),
    "prot2mf": (PROTEIN, "molecular_function"),
    "prot2cc": (PROTEIN, "cellular_component"),
    "prot2drug": (PROTEIN, DRUG),
    "disease2prot": ("disease", PROTEIN),
}
"""PrimeKG's types of heads and tails; all relations between them count."""

WANTED = {
    DRUG: "embeddings of drugs: an .h5, .parquet or .npz file of vectors by DrugBank id, and the "
    "name of its source",
    PROTEIN: "sequences of proteins by the ids of the graph, as in BioBridge's protein.csv",
}
REVERSE = ("removed", "kept")
HITS = (1, 3, 10)
PROTOCOL_FIELDS = ("seeds", "held_out", "reverse_triplets", "min_tail_triplets", "negatives")
"""The options that a result repeats."""


def run(
    graph: KnowledgeGraph, embeddings: Mapping[str, Float32[np.ndarray, "_ _"]], options: ConfigDict
) -> dict:
    """Trains a bridge for each seed and measures the benchmarks of `options`.

    Args:
      embeddings: by node type, rows in the order of its nodes in the graph, NaN for nodes without
      an embedding; see `eval.benchmarks.cross_modal.node_embeddings.embed_nodes`. Missing types are
      left out, with their triplets.
      options: as in configs/eval/cross_modal.py.

    Returns:
      `data` (what takes part), `protocol`, `training` of each seed by kind of reverse triplets and
      of bridge, `flops`, and `benchmarks`: for each, by kind of reverse triplets, the result of
      `summarize`, or `missing`, a sentence on what is wanted.

    Raises:
      UserError: an unknown benchmark or option, or embeddings that do not fit the graph.
      MissingData: none of the benchmarks can be measured.
    """
    if unknown := [name for name in options.benchmarks if name not in BENCHMARKS]:
        raise UserError(
            f"unknown cross-modal benchmark {unknown[0]!r}; expected {', '.join(BENCHMARKS)}."
        )
    if unknown := [kind for kind in options.reverse_triplets if kind not in REVERSE]:
        raise UserError(
            f"unknown reverse_triplets {unknown[0]!r}; expected {' or '.join(REVERSE)}, or both."
        )
    embedded = embedded_graph(graph, embeddings, standardised=options.standardise)
    relations = {name: relations_of(graph, embedded.triplets, name) for name in options.benchmarks}
    missing = {
        name: wanted(graph, embeddings, name) for name, kinds in relations.items() if not kinds
    }
    if len(missing) == len(relations):
        raise MissingData(" ".join(missing.values()))
    measured = [
        _seed(graph, embedded, relations, seed=seed, options=options)
        for seed in range(options.seeds)
    ]
    benchmarks = {}
    for name in options.benchmarks:
        benchmarks[name] = (
            {"missing": missing[name]} if name in missing else _summaries(measured, name, options)
        )
    protocol = {name: options[name] for name in PROTOCOL_FIELDS}
    training = [one["training"] for one in measured]
    return {
        "data": _facts(graph, embedded, embeddings),
        "protocol": protocol,
        "training": training,
        "benchmarks": benchmarks,
        "flops": sum(map(_flops, measured)),
    }


def _facts(graph: KnowledgeGraph, embedded: EmbeddedGraph, embeddings: Mapping) -> dict:
    """What takes part in the measurement."""
    known = embedded.nodes.rows >= 0
    nodes = {
        name: int((known & (embedded.nodes.types == position)).sum())
        for position, name in enumerate(graph.node_types)
    }
    return {
        "nodes": nodes,
        "nodes_without_embedding": int((~known).sum()),
        "triplets": len(embedded.triplets),
        "triplets_left_out": len(graph.triplets) - len(embedded.triplets),
        "widths": {name: vectors.shape[1] for name, vectors in embeddings.items()},
        "supplied_embeddings": dict(sources(graph)),
    }


def _summaries(measured: Sequence[Mapping], name: str, options: ConfigDict) -> dict[str, dict]:
    """A benchmark's numbers by kind of reverse triplets."""
    found = {}
    for kind in options.reverse_triplets:
        found[kind] = summarize([one["ranks"][kind][name] for one in measured])
    return found


def _flops(of_seed: Mapping) -> float:
    return sum(
        bridge["flops"] for of_kind in of_seed["training"].values() for bridge in of_kind.values()
    )


def embedded_graph(
    graph: KnowledgeGraph,
    embeddings: Mapping[str, Float32[np.ndarray, "_ _"]],
    *,
    standardised: bool,
) -> EmbeddedGraph:
    """Moves embeddings to the device and keeps the triplets between nodes that have one.

    A type without embeddings gets a single row of zeros.

    Raises:
      UserError: the graph lacks a type, or has another number of its nodes than there are rows.
    """
    types = np.array([node.type for node in graph.nodes], np.int32)
    rows = np.full(len(types), -1, np.int32)
    tables = [jnp.zeros((1, 1), jnp.float32) for _ in graph.node_types]
    for name, vectors in embeddings.items():
        position = graph.node_types.index(name) if name in graph.node_types else -1
        own = np.flatnonzero(types == position)
        if position < 0 or len(own) != len(vectors):
            raise UserError(
                f"the graph has {len(own)} nodes of type {name!r}, but {len(vectors)} embeddings "
                "were given for them."
            )
        known = np.isfinite(vectors).all(1)
        rows[own[known]] = np.flatnonzero(known)
        table = np.zeros(vectors.shape, np.float32)
        table[known] = (
            standardise(vectors[known]) if standardised and known.any() else vectors[known]
        )
        tables[position] = jnp.asarray(table)
    head, _, tail = graph.triplets.T
    return EmbeddedGraph(
        tables, Places(types, rows), graph.triplets[(rows[head] >= 0) & (rows[tail] >= 0)]
    )


def relations_of(
    graph: KnowledgeGraph, triplets: Int[np.ndarray, "N 3"], benchmark: str
) -> list[int]:
    """The relations that connect the benchmark's types; none if a type is missing."""
    if any(name not in graph.node_types for name in BENCHMARKS[benchmark]):
        return []
    head, tail = (graph.node_types.index(name) for name in BENCHMARKS[benchmark])
    types = np.array([node.type for node in graph.nodes], np.int32)
    return np.unique(
        triplets[(types[triplets[:, 0]] == head) & (types[triplets[:, 2]] == tail), 1]
    ).tolist()


def lacking(graph: KnowledgeGraph, options: ConfigDict, benchmark: str) -> str:
    """What a benchmark lacks, decided before anything is embedded or trained; '' if nothing."""
    if benchmark not in options.benchmarks:
        return f"cross_modal.benchmarks leaves out {benchmark}; add it."
    known = embeddable(graph)
    head, _, tail = graph.triplets.T
    if relations_of(graph, graph.triplets[known[head] & known[tail]], benchmark):
        return ""
    return wanted(
        graph,
        {graph.node_types[graph.nodes[position].type] for position in np.flatnonzero(known)},
        benchmark,
    )


def wanted(graph: KnowledgeGraph, embeddings: Container[str], benchmark: str) -> str:
    """A sentence on what an unmeasurable benchmark lacks."""
    for name in BENCHMARKS[benchmark]:
        if name not in graph.node_types:
            return (
                f"{benchmark} needs nodes of type {name!r}, which the graph lacks; use all of "
                "PrimeKG."
            )
        if name not in embeddings:
            return f"{benchmark} needs {WANTED.get(name, f'texts of nodes of type {name!r}')}."
    return (
        f"{benchmark} needs triplets from {' to '.join(BENCHMARKS[benchmark])} between nodes with "
        "embeddings, but has none; use a larger graph or embed more nodes."
    )


def _seed(
    graph: KnowledgeGraph,
    embedded: EmbeddedGraph,
    relations: Mapping[str, Sequence[int]],
    *,
    seed: int,
    options: ConfigDict,
) -> dict:
    """Trains and ranks with the heads that a seed holds out.

    Returns:
      by kind of reverse triplets `training` (facts by method) and `ranks` (by benchmark and
      method).
    """
    measurable = {name: kinds for name, kinds in relations.items() if kinds}
    head_types = sorted({graph.node_types.index(BENCHMARKS[name][0]) for name in measurable})
    roles = hold_out(
        embedded.triplets,
        embedded.nodes.types,
        head_types=head_types,
        share=options.held_out,
        seed=seed,
    )
    limits = {"min_triplets": options.min_tail_triplets}
    queries = {}
    for role in (VALID, TEST):
        queries[role] = {
            name: _queries(graph, embedded, name, kinds, held_out=roles == role, **limits)
            for name, kinds in measurable.items()
        }
    training, ranks = {}, {}
    for kind in options.reverse_triplets:
        fit = training_triplets(embedded.triplets, roles, reverse=kind)
        if not len(fit):
            raise UserError(
                f"held_out={options.held_out} leaves no triplet to train the bridge on; hold "
                "out fewer heads."
            )
        training[kind], ranks[kind] = _trained(
            graph, embedded, fit, queries, seed=seed, options=options
        )
    return {"training": training, "ranks": ranks}


def _trained(
    graph: KnowledgeGraph,
    embedded: EmbeddedGraph,
    fit: Int[np.ndarray, "N 3"],
    queries: Mapping[int, Mapping[str, Sequence[Queries]]],
    *,
    seed: int,
    options: ConfigDict,
) -> tuple[dict, dict]:
    """Trains each kind of bridge on the triplets `fit`; returns facts and ranks."""
    ranks = {name: _baseline_ranks(own, fit) for name, own in queries[TEST].items()}
    training = {}
    for method, shown in _methods(graph, options).items():
        bridge = Bridge(len(graph.node_types), len(graph.relation_types), **options.bridge)
        seen = np.stack([fit[:, 0], shown[fit[:, 1]], fit[:, 2]], axis=1)

        def score(params, bridge=bridge, shown=shown):
            ranked = [
                bridge_ranks(bridge, params, embedded, own, shown)
                for own in queries[VALID].values()
            ]
            return float(np.mean([mean_reciprocal_rank(*one.filtered) for one in ranked]))

        trained = train_bridge(bridge, embedded, seen, score=score, options=options, seed=seed)
        training[method] = _training_facts(trained) | {"triplets": len(fit)}
        for name, own in queries[TEST].items():
            ranks[name][method] = bridge_ranks(bridge, trained.params, embedded, own, shown)
    return training, ranks


def _baseline_ranks(queries: Sequence[Queries], fit: Int[np.ndarray, "N 3"]) -> dict[str, Ranks]:
    frequency = [of_frequency(one, fit) for one in queries]
    chance = [of_chance(one) for one in queries]
    return {"frequency": join(frequency), "chance": join(chance)}


def _methods(graph: KnowledgeGraph, options: ConfigDict) -> dict[str, Int[np.ndarray, " R"]]:
    """What each kind of bridge gets as the relation."""
    kinds = np.arange(len(graph.relation_types))
    return {"bridge": kinds} | (
        {"no_relation": np.zeros_like(kinds)} if options.no_relation_control else {}
    )


def _queries(
    graph: KnowledgeGraph,
    embedded: EmbeddedGraph,
    benchmark: str,
    relations: Sequence[int],
    *,
    held_out: Bool[np.ndarray, " nodes"],
    min_triplets: int,
) -> list[Queries]:
    """The queries of each relation that held-out heads have.

    Raises:
      UserError: no held-out head has any.
    """
    head, tail = (
        embedded.nodes.types == graph.node_types.index(name) for name in BENCHMARKS[benchmark]
    )
    candidates = np.flatnonzero(tail & (embedded.nodes.rows >= 0))
    made = [
        make_queries(
            embedded.triplets, held_out & head, candidates, relation=kind, min_triplets=min_triplets
        )
        for kind in relations
    ]
    if not any(own.heads.size for own in made):
        raise UserError(
            f"{benchmark}: no held-out head has a tail; use a larger graph, a larger held_out or "
            "a smaller min_tail_triplets."
        )
    return [own for own in made if own.heads.size]


def bridge_ranks(
    bridge: Bridge,
    params: Mapping,
    embedded: EmbeddedGraph,
    queries: Sequence[Queries],
    shown: Int[np.ndarray, " R"],
) -> Ranks:
    """Ranks by the cosine of each head's transformed embedding with the candidates' projections."""
    ranks = []
    for own in queries:
        tail_type = int(embedded.nodes.types[own.candidates[0]])
        query = {"heads": own.heads, "relation": int(shown[own.relation]), "tail_type": tail_type}
        scores = (
            query_vectors(bridge, params, embedded, **query)
            @ node_vectors(bridge, params, embedded, own.candidates).T
        )
        ranks.append(rank(scores, own))
    return join(ranks)


def _training_facts(trained: Trained) -> dict:
    named = trained._asdict()
    return {name: named[name] for name in ("step", "steps", "valid_score", "loss", "flops")}


def summarize(ranks: Sequence[Mapping[str, Ranks]]) -> dict:
    """Summarises a benchmark's ranks of each seed by method.

    Returns:
      of each seed the `heads` and `triplets` of the queries; by method the filtered `mrr`, mean
      over seeds, with `std`, `by_seed` and 95 % bootstrap `intervals` over heads, `hits@k`, and the
      MRR by the other counts, `mrr_unfiltered` and `mrr_first`.
    """
    any_method = [next(iter(of_seed.values())) for of_seed in ranks]
    heads = [len(np.unique(one.heads)) for one in any_method]
    triplets = [len(one.heads) for one in any_method]
    summary = {"heads": heads, "triplets": triplets}
    for method in ranks[0]:
        own = [of_seed[method] for of_seed in ranks]
        by_seed = [mean_reciprocal_rank(*one.filtered) for one in own]
        mean, std = mean_and_std(by_seed)
        summary[method] = {
            "mrr": mean,
            "std": std,
            "by_seed": by_seed,
            "intervals": [_interval(one) for one in own],
        }
        for k in HITS:
            hits = [hits_at(*one.filtered, k) for one in own]
            summary[method][f"hits@{k}"] = float(np.mean(hits))
        for count in ("unfiltered", "first"):
            values = [mean_reciprocal_rank(*getattr(one, count)) for one in own]
            summary[method][f"mrr_{count}"] = float(np.mean(values))
    return summary


def _interval(ranks: Ranks) -> tuple[float, float]:
    """Of the filtered MRR; a head's triplets are drawn together."""
    _, heads = np.unique(ranks.heads, return_inverse=True)
    return bootstrap_interval(
        np.bincount(heads, reciprocal_rank(*ranks.filtered)), np.bincount(heads)
    )

"""Counts what is odd about a benchmark's data, as JSON values; changes and drops nothing."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from eval.data.base.task import (
    INTERACTIONS,
    Data,
    InteractionGraph,
    KnowledgeGraph,
    Rejected,
    Sample,
    SimilarityTable,
    Task,
)


def audit_task(task: Task) -> dict:
    """Counts of a task.

    `rows`, `duplicates` (rows whose sequence an earlier row of the split has), `conflicting`
    (distinct sequences with several targets) and `unlabelled` rows by split; `overlap`: distinct
    sequences that two splits share; `classes_not_in_train`; and what `audit_files` counts.
    """
    found = {"rows": {}, "duplicates": {}, "conflicting": {}, "unlabelled": {}, "overlap": {}}
    distinct = {}
    for split, samples in task.splits.items():
        distinct[split] = {sample.sequence for sample in samples}
        found["rows"][split] = len(samples)
        found["duplicates"][split] = len(samples) - len(distinct[split])
        found["conflicting"][split] = _conflicting(samples)
        found["unlabelled"][split] = sum(sample.target == () for sample in samples)
    for a, b in combinations(distinct, 2):
        found["overlap"][f"{a} and {b}"] = len(distinct[a] & distinct[b])
    found["classes_not_in_train"] = _classes_not_in_train(task)
    return found | audit_files(task)


def _classes_not_in_train(task: Task) -> int:
    if not task.classes or "train" not in task.splits:
        return 0
    trained = {label for sample in task.splits["train"] for label in _labels(sample)}
    return len(task.classes) - len(trained)


def _labels(sample: Sample) -> Iterable[int]:
    if isinstance(sample.target, tuple):
        return sample.target
    return [sample.target] if isinstance(sample.target, int) else []


def _conflicting(samples: Sequence[Sample]) -> int:
    targets = defaultdict(set)
    for sample in samples:
        targets[sample.sequence].add(sample.target)
    return sum(len(found) > 1 for found in targets.values())


def audit_interactions(graph: InteractionGraph) -> dict:
    """Counts proteins, pairs, pairs of each type, and proteins that share a sequence."""
    return {
        "proteins": len(graph.names),
        "pairs": len(graph.edges),
        "types": dict(zip(INTERACTIONS, graph.labels.sum(0).tolist(), strict=True)),
        "duplicates": len(graph.sequences) - len(set(graph.sequences)),
    } | audit_files(graph)


def audit_graph(graph: KnowledgeGraph) -> dict:
    """Counts nodes by type, nodes without content, and relations by type.

    A relation and its reverse count as one.
    """
    nodes = Counter(graph.node_types[node.type] for node in graph.nodes)
    bare = Counter(graph.node_types[node.type] for node in graph.nodes if node.content is None)
    once = graph.triplets[graph.triplets[:, 0] <= graph.triplets[:, 2]]
    relations = np.bincount(once[:, 1], minlength=len(graph.relation_types))
    by_relation = {
        name: int(count)
        for name, count in zip(graph.relation_types, relations, strict=True)
        if count
    }
    vectors = {
        name: {"nodes": len(own.nodes), "source": own.source} for name, own in graph.vectors.items()
    }
    counts = {
        "nodes": dict(nodes),
        "without_content": dict(bare),
        "relations": by_relation,
        "vectors": vectors,
    }
    return counts | audit_files(graph)


def audit_similarity(table: SimilarityTable) -> dict:
    """Counts the proteins and pairs of a set, and proteins that share a sequence."""
    return {
        "proteins": len(table.names),
        "pairs": len(table.pairs),
        "duplicates": len(table.sequences) - len(set(table.sequences)),
    } | audit_files(table)


def audit_files(data: Data) -> dict:
    """`rejects` by reason, `files` and `notes`, for data of any form."""
    files = [
        {"path": s.path, "bytes": s.bytes, "sha256": s.sha256, "rows": s.rows} for s in data.sources
    ]
    return {"rejects": by_reason(data.rejects), "files": files, "notes": list(data.notes)}


def by_reason(rejects: Iterable[Rejected]) -> dict[str, int]:
    """Counts rejected rows by reason, the commonest first."""
    return dict(Counter(reject.reason for reject in rejects).most_common())

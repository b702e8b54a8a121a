"""Embeds a graph's nodes by type: proteins from sequences, drugs from a file, others from text."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from eval.data.base.task import KnowledgeGraph, Node
from eval.data.graphs.graph import NODE_TYPES, PROTEIN

DRUG = "drug"
"""PrimeKG's name of the type that our models cannot embed."""

Embedder = Callable[[Sequence[str]], Float[np.ndarray, "n D"]]


def nodes_of_type(graph: KnowledgeGraph, name: str) -> list[Node]:
    """The nodes of one type, in the order of the graph and of their embeddings' rows."""
    position = graph.node_types.index(name)
    return [node for node in graph.nodes if node.type == position]


def embeddable(graph: KnowledgeGraph) -> Bool[np.ndarray, " nodes"]:
    """Which nodes `embed_nodes` can embed; embeds nothing itself."""
    known = np.zeros(len(graph.nodes), bool)
    for name in (name for name in NODE_TYPES if name in graph.node_types):
        if name in graph.vectors:
            known[graph.vectors[name].nodes] = True
        elif name != DRUG:
            known[_positions(graph, name)] = [bool(content) for content in _contents(graph, name)]
    return known


def embed_nodes(
    graph: KnowledgeGraph, *, proteins: Embedder, texts: Embedder
) -> dict[str, Float32[np.ndarray, "_ _"]]:
    """Embeds each of `NODE_TYPES`: float32 [n, D], NaN for nodes without sequence or text.

    Vectors that came with the graph (`graph.vectors`) take precedence for any type; drugs have no
    others.

    Args:
      proteins: embeds sequences: the mean over residues, without `<cls>` and `<eos>` (as BioBridge
      and ProtCLIP pool here), as `ProtCLIP.mean_embeddings` gives.
      texts: embeds the texts of `node_text`: the mean over tokens, `[CLS]` and `[SEP]` included,
      without a projection, as `ProtCLIP.mean_text_embeddings` gives.
    """
    embeddings = {}
    for name in (name for name in NODE_TYPES if name in graph.node_types):
        if name in graph.vectors:
            embeddings[name] = _supplied(graph, name)
        elif name != DRUG:
            embeddings[name] = _embedded(
                _contents(graph, name), proteins if name == PROTEIN else texts
            )
    return {name: vectors for name, vectors in embeddings.items() if np.isfinite(vectors).any()}


def _positions(graph: KnowledgeGraph, name: str) -> Int[np.ndarray, " n"]:
    """Indices into the graph's nodes of one type."""
    return np.flatnonzero([node.type == graph.node_types.index(name) for node in graph.nodes])


def _contents(graph: KnowledgeGraph, name: str) -> list[str | None]:
    """What the nodes of a type are embedded from: a protein's sequence, else a text."""
    return [
        node.content if name == PROTEIN else node_text(node) for node in nodes_of_type(graph, name)
    ]


def node_text(node: Node) -> str:
    """BioBridge's text of a node (unimodal/Text/encode_*.py).

    Only the name if there is no definition, "" without either.
    """
    name = f"Name: {node.name}." if node.name else ""
    return f"{name} Definition: {node.content}".strip() if node.content else name


def _supplied(graph: KnowledgeGraph, name: str) -> Float32[np.ndarray, "n D"]:
    own = _positions(graph, name)
    supplied = graph.vectors[name]
    vectors = np.full((len(own), supplied.values.shape[1]), np.nan, np.float32)
    vectors[np.searchsorted(own, supplied.nodes)] = supplied.values
    return vectors


def _embedded(contents: Sequence[str | None], embedder: Embedder) -> Float32[np.ndarray, "n D"]:
    known = [position for position, content in enumerate(contents) if content]
    if not known:
        return np.zeros((len(contents), 0), np.float32)
    found = np.asarray(embedder([contents[position] for position in known]), np.float32)
    vectors = np.full((len(contents), found.shape[1]), np.nan, np.float32)
    vectors[known] = found
    return vectors


def sources(graph: KnowledgeGraph) -> Mapping[str, str]:
    """The sources of embeddings that came with the graph, by type."""
    return {name: vectors.source for name, vectors in graph.vectors.items()}

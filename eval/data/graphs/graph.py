"""Builds knowledge graphs node by node, with the type ids of BioBridge's or ProtCLIP's config."""

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json
from eval.data.base.gathered import Gathered
from eval.data.base.task import KnowledgeGraph, Node, NodeVectors

PROTEIN = "gene/protein"
NODE_TYPES = (
    "biological_process",
    "cellular_component",
    "disease",
    "drug",
    PROTEIN,
    "molecular_function",
)
"""PrimeKG's names of the six types that BioBridge keeps."""


class GraphConfig(NamedTuple):
    """Type names in the order of their ids."""

    node_types: tuple[str, ...]
    relation_types: tuple[str, ...]


def read_graph_config(path: Path) -> GraphConfig:
    """Reads the types from a JSON object with `node_type` and `relation_type`, each a name → id.

    Raises:
      UserError: the file is not such an object, or its ids do not count from 0.
    """
    config = read_json(
        path, fix="give BioBridge's data_config.json or ProtCLIP's KGdata_config.json"
    )
    return GraphConfig(
        *(_in_order(path, key, config.get(key)) for key in ("node_type", "relation_type"))
    )


def _in_order(path: Path, key: str, ids: object) -> tuple[str, ...]:
    values = list(ids.values()) if isinstance(ids, dict) else []
    if (
        not values
        or any(type(value) is not int for value in values)
        or sorted(values) != list(range(len(values)))
    ):
        raise UserError(
            f"{path} has no {key} with ids from 0 on; give BioBridge's data_config.json or "
            "ProtCLIP's."
        )
    return tuple(sorted(ids, key=ids.get))


class GraphBuilder:
    """A graph under construction; `build` turns it into a `KnowledgeGraph`."""

    def __init__(self, gathered: Gathered):
        self.gathered = gathered
        self.positions: dict[tuple[str, str], int] = {}
        """(type, id) → index."""
        self.by_index: dict[str, int] = {}
        """PrimeKG's node_index → index, if the source has one."""
        self.contents: dict[int, str] = {}
        """Index → sequence or text."""
        self._names: list[str] = []
        self._relations: dict[str, int] = {}
        self._edges = array("q")

    def node(self, type_: str, id_: str, name: str) -> int:
        """Returns the node's index, adding it if type and id are new; the first name counts."""
        position = self.positions.setdefault((type_, id_), len(self._names))
        if position == len(self._names):
            self._names.append(name)
        return position

    def describe(self, position: int, text: str, *, type_: str, path: Path, line: int) -> None:
        """Sets a node's sequence or text unless it has one; rejects what is not a protein."""
        if text and position not in self.contents:
            content = (
                self.gathered.sequence(path, line, f"line {line}", text)
                if type_ == PROTEIN
                else text
            )
            if content is not None:
                self.contents[position] = content

    def relate(self, head: int, relation: str, tail: int) -> None:
        """Adds a relation, which holds in both directions."""
        self._edges.extend((head, self._relations.setdefault(relation, len(self._relations)), tail))

    def build(
        self,
        config: GraphConfig | None,
        *,
        notes: Sequence[str] = (),
        vectors: Mapping[str, NodeVectors] | None = None,
    ) -> KnowledgeGraph:
        """Builds the graph.

        Types get the ids of `config`; types that it does not name follow in alphabetical order.

        Raises:
          UserError: there are no relations.
        """
        if not self._edges:
            files = ", ".join(source.path for source in self.gathered.sources)
            raise UserError(
                f"{files} give no relation between nodes of the selected types; check the files "
                "and node_types."
            )
        config = config or GraphConfig((), ())
        node_types = _extended(config.node_types, {type_ for type_, _ in self.positions})
        relation_types = _extended(config.relation_types, self._relations)
        type_ids = {name: position for position, name in enumerate(node_types)}
        nodes = [
            Node(id_, type_ids[type_], self._names[position], self.contents.get(position))
            for (type_, id_), position in self.positions.items()
        ]
        order = np.array([relation_types.index(name) for name in self._relations])
        triplets = _both_ways(
            np.frombuffer(self._edges, np.int64).reshape(-1, 3),
            order,
            len(nodes),
            len(relation_types),
        )
        gathered = self.gathered
        notes = (*gathered.notes, *notes)
        return KnowledgeGraph(
            node_types,
            relation_types,
            nodes,
            triplets,
            gathered.rejects,
            gathered.sources,
            notes,
            dict(vectors or {}),
        )


def _extended(names: Sequence[str], more) -> tuple[str, ...]:
    return (*names, *sorted(set(more) - set(names)))


def _both_ways(
    edges: Int[np.ndarray, "E 3"], order: Int[np.ndarray, " R"], nodes: int, relations: int
) -> Int[np.ndarray, "N 3"]:
    """Every edge and its reverse, once each, ascending; `order` sets the final relation ids."""
    head, relation, tail = edges[:, 0], order[edges[:, 1]], edges[:, 2]
    # One number per triplet: sorting rows takes many times as long.
    forth, back = ((a * relations + relation) * nodes + b for a, b in ((head, tail), (tail, head)))
    keys = np.unique(np.concatenate([forth, back]))
    rest, tail = np.divmod(keys, nodes)
    return np.stack([*np.divmod(rest, relations), tail], axis=1).astype(np.int32)

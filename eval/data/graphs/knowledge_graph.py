"""The knowledge graphs of the cross-modal benchmarks, with the contents of their nodes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.format import Format, NeutralFolder
from eval.data.base.gathered import Gathered
from eval.data.base.rows import table_rows
from eval.data.base.task import KnowledgeGraph
from eval.data.graphs.graph import NODE_TYPES, GraphBuilder, read_graph_config
from eval.data.graphs.hetionet import read_hetionet
from eval.data.graphs.node_contents import add_contents, read_vectors
from eval.data.graphs.primekg import read_biobridge, read_primekg

NO_NODE = "one of its nodes is not in the table of nodes"


def read_primekg_graph(
    edges: Path,
    *,
    config: Path | None = None,
    contents: Mapping[str, Sequence[Path]] | None = None,
    vectors: Mapping[str, Mapping[str, str]] | None = None,
    node_types: Sequence[str] = NODE_TYPES,
) -> KnowledgeGraph:
    """Reads PrimeKG's `kg.csv`.

    Args:
      config: BioBridge's or ProtCLIP's configuration, for the type ids.
      contents: by node type, files for `add_contents`.
      vectors: by node type, `{"file": …, "source": …}` for `read_vectors`.
      node_types: the types to keep; other nodes and their edges are left out.

    Raises:
      UserError: a file has another form.
    """
    builder, notes = read_primekg(edges, node_types=node_types)
    return _complete(builder, config, contents, vectors, notes)


def read_hetionet_graph(
    nodes: Path,
    edges: Path,
    *,
    metaedges: Path,
    annotations: Sequence[Path] = (),
    config: Path | None = None,
    contents: Mapping[str, Sequence[Path]] | None = None,
    vectors: Mapping[str, Mapping[str, str]] | None = None,
    node_types: Sequence[str] = NODE_TYPES,
) -> KnowledgeGraph:
    """Reads Hetionet with PrimeKG's type names; see `read_hetionet`.

    The other arguments are those of `read_primekg_graph`.
    """
    builder, notes = read_hetionet(
        nodes, edges, metaedges=metaedges, node_types=node_types, annotations=annotations
    )
    return _complete(builder, config, contents, vectors, notes)


def read_biobridge_graph(
    triplets: Path,
    *,
    config: Path,
    nodes: Mapping[str, Sequence[Path]],
    vectors: Mapping[str, Mapping[str, str]] | None = None,
) -> KnowledgeGraph:
    """Reads BioBridge's own files; see `read_biobridge`."""
    builder = read_biobridge(triplets, nodes=nodes, config=read_graph_config(config))
    return _complete(builder, config, None, vectors, [])


def read_graph_tables(
    nodes: Path,
    edges: Path,
    *,
    config: Path | None = None,
    vectors: Mapping[str, Mapping[str, str]] | None = None,
) -> KnowledgeGraph:
    """Reads the neutral layout.

    The nodes have the columns `type, id, name` and optionally `content`, the edges `head_type,
    head, relation, tail_type, tail`.

    Raises:
      UserError: a file has another form.
    """
    builder = GraphBuilder(Gathered())
    for row in table_rows(nodes, builder.gathered, columns=("type", "id", "name")):
        position = builder.node(row.cells["type"], row.cells["id"], row.cells["name"])
        builder.describe(
            position,
            row.cells.get("content", ""),
            type_=row.cells["type"],
            path=nodes,
            line=row.line,
        )
    columns = ("head_type", "head", "relation", "tail_type", "tail")
    for row in table_rows(edges, builder.gathered, columns=columns):
        head_type, head, relation, tail_type, tail = (row.cells[column] for column in columns)
        positions = (
            builder.positions.get((head_type, head)),
            builder.positions.get((tail_type, tail)),
        )
        if None in positions:
            builder.gathered.reject(edges, row.line, f"{head} {relation} {tail}", NO_NODE)
        else:
            builder.relate(positions[0], relation, positions[1])
    return _complete(builder, config, None, vectors, [])


def _complete(
    builder: GraphBuilder,
    config: Path | None,
    contents: Mapping | None,
    vectors: Mapping | None,
    notes: Sequence[str],
) -> KnowledgeGraph:
    notes = [*notes, *add_contents(builder, contents or {})]
    found = {}
    for type_, given in (vectors or {}).items():
        if set(given) != {"file", "source"}:
            raise UserError(
                f'vectors of {type_} need "file" and "source" (who made them), but have '
                f"{', '.join(given)}; add what is missing."
            )
        found[type_] = read_vectors(builder, type_, Path(given["file"]), source=given["source"])
    return builder.build(config and read_graph_config(config), notes=notes, vectors=found)


def _neutral_entry(folder: NeutralFolder) -> dict | None:
    nodes, edges = folder.table("nodes"), folder.table("edges")
    return {"nodes": nodes, "edges": edges} if nodes and edges else None


PRIMEKG = Format(
    "primekg",
    read_primekg_graph,
    file=("edges", "config"),
    named_files=("contents",),
    vectors=("vectors",),
    options={"node_types": list[str]},
)
HETIONET = Format(
    "hetionet",
    read_hetionet_graph,
    file=("nodes", "edges", "metaedges", "config"),
    files=("annotations",),
    named_files=("contents",),
    vectors=("vectors",),
    options={"node_types": list[str]},
)
BIOBRIDGE = Format(
    "biobridge",
    read_biobridge_graph,
    file=("triplets", "config"),
    named_files=("nodes",),
    vectors=("vectors",),
)
GRAPH_TABLES = Format(
    "graph_tables",
    read_graph_tables,
    file=("nodes", "edges", "config"),
    vectors=("vectors",),
    neutral=_neutral_entry,
)

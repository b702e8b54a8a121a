"""Reads PrimeKG's `kg.csv` and the triplets that BioBridge made from it.

Each row of `kg.csv` describes both ends of an edge.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.readers.streams.reading_progress import reading_progress
from eval.data.base.gathered import Gathered
from eval.data.base.rows import table_header, table_rows
from eval.data.graphs.graph import NODE_TYPES, GraphBuilder, GraphConfig
from eval.data.graphs.node_contents import CONTENT_COLUMNS

NO_NODE = "one of its nodes is not in any node table"
NO_RELATION = "its relation is not in the configuration"

_END_COLUMNS = ("x_index", "x_id", "x_type", "x_name", "y_index", "y_id", "y_type", "y_name")


def read_primekg(
    edges: Path, *, node_types: Sequence[str] = NODE_TYPES
) -> tuple[GraphBuilder, list[str]]:
    """Reads the edges between nodes of the selected types by display_relation.

    A note says how many rows were left out.

    Raises:
      UserError: the file is not such a table.
    """
    builder, left_out = GraphBuilder(Gathered()), 0
    rows = table_rows(edges, builder.gathered, columns=("display_relation", *_END_COLUMNS))
    for row in reading_progress(rows, [edges], description=edges.name, noun="edges"):
        cells = row.cells
        if cells["x_type"] not in node_types or cells["y_type"] not in node_types:
            left_out += 1
            continue
        ends = [
            builder.node(cells[f"{end}_type"], cells[f"{end}_id"], cells[f"{end}_name"])
            for end in "xy"
        ]
        for end, position in zip("xy", ends, strict=True):
            builder.by_index[cells[f"{end}_index"]] = position
        builder.relate(ends[0], cells["display_relation"], ends[1])
    note = (
        f"{left_out} rows of {edges.name} were left out: they have an end outside "
        f"{', '.join(sorted(node_types))}"
    )
    return builder, [note] if left_out else []


def read_biobridge(
    triplets: Path, *, nodes: Mapping[str, Sequence[Path]], config: GraphConfig
) -> GraphBuilder:
    """Reads BioBridge's `triplet_full.csv` with its `Processed` node tables and their contents.

    Args:
      nodes: by node type, tables with node_index, an id and a name.
      config: the names of the relation numbers.

    Raises:
      UserError: a file has another form.
    """
    builder = GraphBuilder(Gathered())
    for type_, paths in nodes.items():
        for path in paths:
            _add_nodes(builder, type_, path)
    columns = ("x_index", "y_index", "display_relation")
    rows = table_rows(triplets, builder.gathered, columns=columns)
    for row in reading_progress(rows, [triplets], description=triplets.name, noun="edges"):
        x, y, relation = (row.cells[column] for column in columns)
        known = relation.isdecimal() and int(relation) < len(config.relation_types)
        if x in builder.by_index and y in builder.by_index and known:
            builder.relate(
                builder.by_index[x], config.relation_types[int(relation)], builder.by_index[y]
            )
        else:
            builder.gathered.reject(
                triplets, row.line, f"{x} {relation} {y}", NO_NODE if known else NO_RELATION
            )
    return builder


def _add_nodes(builder: GraphBuilder, type_: str, path: Path) -> None:
    header = table_header(path)
    id_ = next((column for column in ("node_id", "mondo_id") if column in header), None)
    name = next((column for column in ("node_name", "mondo_name") if column in header), None)
    content = next((column for column in CONTENT_COLUMNS if column in header), None)
    if id_ is None or name is None:
        raise UserError(
            f"{path} is not a node table: its header lacks node_id and node_name and has "
            f"{', '.join(header)[:300]}; give a file of BioBridge's data/Processed."
        )
    for row in table_rows(path, builder.gathered, columns=("node_index", id_, name)):
        position = builder.node(type_, row.cells[id_], row.cells[name])
        builder.by_index[row.cells["node_index"]] = position
        builder.describe(
            position, row.cells[content] if content else "", type_=type_, path=path, line=row.line
        )

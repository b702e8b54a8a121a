"""The contents of a graph's nodes: sequences, texts, and embeddings made by others."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from data_pipelines.common.errors import UserError
from eval.data.base.rows import lines, table_header, table_rows
from eval.data.base.task import NodeVectors
from eval.data.graphs.graph import PROTEIN, GraphBuilder
from eval.data.graphs.vector_files import read_vector_file
from eval.data.importers.sequences import read_sequences

ID_COLUMNS = ("node_index", "node_id", "id", "mondo_id", "name")
CONTENT_COLUMNS = (
    *("sequence", "description", "definition", "mondo_definition", "smiles", "text", "content"),
    "group_name_bert",
)


def add_contents(builder: GraphBuilder, contents: Mapping[str, Sequence[Path]]) -> list[str]:
    """Sets the sequences (of `gene/protein`) or texts of nodes by type; the first of a node counts.

    Notes name each file that lacks some of the nodes, and how many it has. A file that has none
    most likely uses other ids or another spelling of its type.

    Tables have an id column (`node_index` if the graph knows PrimeKG's indices) and a content
    column; rows of nodes outside the graph are skipped. Proteins may also come as FASTA or as a
    two-column table by id.

    Raises:
      UserError: a file has another form.
    """
    notes = []
    for type_, paths in contents.items():
        for path in paths:
            described = set()
            for position, line, text in _contents(builder, type_, path):
                builder.describe(position, text, type_=type_, path=path, line=line)
                described.add(position)
            nodes = sum(kind == type_ for kind, _ in builder.positions)
            if not described:
                notes.append(
                    f"{path.name} has the content of none of the graph's nodes of type {type_}"
                )
            elif len(described) < nodes:
                notes.append(
                    f"{path.name} has the content of {len(described):,} of {nodes:,} nodes "
                    f"of type {type_}"
                )
    return notes


def _contents(builder: GraphBuilder, type_: str, path: Path) -> Iterator[tuple[int, int, str]]:
    """Yields (index, line, content) for the nodes of the graph."""
    first = next((text.strip() for _, text in lines(path)), "")
    header = [] if first.startswith(">") else table_header(path)
    known = [
        column
        for column in ID_COLUMNS
        if column in header and (column != "node_index" or builder.by_index)
    ]
    content = next((column for column in CONTENT_COLUMNS if column in header), None)
    if known and content:
        for row in table_rows(path, builder.gathered, columns=(known[0], content)):
            id_ = row.cells[known[0]]
            position = (
                builder.by_index.get(id_)
                if known[0] == "node_index"
                else builder.positions.get((type_, id_))
            )
            if position is not None:
                yield position, row.line, row.cells[content]
    elif type_ == PROTEIN:
        wanted = {
            id_: position for (kind, id_), position in builder.positions.items() if kind == type_
        }
        for id_, sequence in read_sequences([path], builder.gathered, wanted=wanted).items():
            yield wanted[id_], 0, sequence
    else:
        raise UserError(
            f"{path} needs a column of ids and one of texts; its header has: "
            f"{', '.join(header)[:300]}."
        )


def read_vectors(builder: GraphBuilder, type_: str, path: Path, *, source: str) -> NodeVectors:
    """Reads embeddings of one type's nodes with `read_named_vectors`; skips other nodes.

    Args:
      source: who made them, for reports.

    Raises:
      UserError: the file has another form, repeats an id, or has none of the graph's nodes.
    """
    names, vectors = read_vector_file(path)
    rows = {
        builder.positions[type_, name]: row
        for row, name in enumerate(names)
        if (type_, name) in builder.positions
    }
    if not rows:
        raise UserError(
            f"{path} has no vector for any {type_} node of the graph; check the ids, which look "
            f"like {names[:2]}."
        )
    builder.gathered.source(path, len(names))
    positions = sorted(rows)
    return NodeVectors(
        source, np.array(positions, np.int32), vectors[[rows[position] for position in positions]]
    )

"""Reads Hetionet: nodes, edges by metaedge abbreviation, and the GO annotations behind it."""

from collections.abc import Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.gathered import Gathered
from eval.data.base.rows import table_rows
from eval.data.graphs.graph import NODE_TYPES, PROTEIN, GraphBuilder

KINDS = {
    "Biological Process": "biological_process",
    "Cellular Component": "cellular_component",
    "Compound": "drug",
    "Disease": "disease",
    "Gene": PROTEIN,
    "Molecular Function": "molecular_function",
}
"""Hetionet's node kinds → PrimeKG's names; kinds not listed keep their own name."""

RELATIONS = {
    **dict.fromkeys(("GpBP", "GpCC", "GpMF"), "interacts with"),
    **{
        "GiG": "ppi",
        "DaG": "associated with",
        "CbG": "target",
        "CtD": "indication",
        "CcSE": "side effect",
    },
}
"""Metaedges → PrimeKG's relation names; all others keep Hetionet's verb, such as `upregulates`."""

NO_NODE = "one of its nodes is not in the table of nodes"
NO_METAEDGE = "its metaedge is not in the table of metaedges"
NO_DOMAIN = "its domain is not one of the three of GO"


def read_hetionet(
    nodes: Path,
    edges: Path,
    *,
    metaedges: Path,
    node_types: Sequence[str] = NODE_TYPES,
    annotations: Sequence[Path] = (),
) -> tuple[GraphBuilder, list[str]]:
    """Reads the edges between nodes of the selected types, and notes how many were left out.

    Args:
      annotations: tables of GO terms with their genes; they add the terms, and genes by Entrez id.

    Raises:
      UserError: a file has another form.
    """
    builder, left_out = GraphBuilder(Gathered()), 0
    described = {
        row.cells["id"]: row.cells
        for row in table_rows(nodes, builder.gathered, columns=("id", "name", "kind"))
    }
    verbs = _verbs(metaedges, builder.gathered)
    for row in table_rows(edges, builder.gathered, columns=("source", "metaedge", "target")):
        ends, metaedge = (row.cells["source"], row.cells["target"]), row.cells["metaedge"]
        if metaedge not in verbs or not all(end in described for end in ends):
            reason = NO_METAEDGE if metaedge not in verbs else NO_NODE
            builder.gathered.reject(edges, row.line, " ".join((ends[0], metaedge, ends[1])), reason)
            continue
        types = [KINDS.get(described[end]["kind"], described[end]["kind"]) for end in ends]
        if all(type_ in node_types for type_ in types):
            head, tail = (
                builder.node(type_, end.partition("::")[2], described[end]["name"])
                for type_, end in zip(types, ends, strict=True)
            )
            builder.relate(head, RELATIONS.get(metaedge, verbs[metaedge]), tail)
        else:
            left_out += 1
    counts = {edges.name: left_out} | {
        path.name: _annotate(builder, path, node_types) for path in annotations
    }
    kept = ", ".join(sorted(node_types))
    return builder, [
        f"{n} rows of {name} were left out: they have an end outside {kept}"
        for name, n in counts.items()
        if n
    ]


def _verbs(path: Path, gathered: Gathered) -> dict[str, str]:
    """Abbreviation → verb of each metaedge.

    Metaedges are written `Gene - participates - Pathway`, or directed `Gene > regulates > Gene`.
    """
    rows = {row.cells["abbreviation"]: row.cells["metaedge"] for row in table_rows(
        path, gathered, columns=("metaedge", "abbreviation"))}  # fmt: skip
    verbs = {
        abbreviation: name.replace(" > ", " - ").split(" - ") for abbreviation, name in rows.items()
    }
    if any(len(parts) != 3 for parts in verbs.values()):
        raise UserError(
            f"{path} is not a table of Hetionet's metaedges: a row is not like 'Gene - "
            "participates - Pathway'; fetch metaedges.tsv again."
        )
    return {abbreviation: parts[1] for abbreviation, parts in verbs.items()}


def _annotate(builder: GraphBuilder, path: Path, node_types: Sequence[str]) -> int:
    """Adds a table's terms and genes; notes how many rows are of types that were not selected."""
    left_out = 0
    columns = ("go_id", "go_name", "go_domain", "gene_ids", "gene_symbols")
    for row in table_rows(path, builder.gathered, columns=columns):
        id_, name, domain, genes, symbols = (row.cells[column] for column in columns)
        if domain not in ("biological_process", "cellular_component", "molecular_function"):
            builder.gathered.reject(path, row.line, id_, NO_DOMAIN)
            continue
        if not {domain, PROTEIN}.issubset(node_types):
            left_out += 1
            continue
        term, names = builder.node(domain, id_, name), symbols.split("|")
        for position, gene in enumerate(filter(None, genes.split("|"))):
            symbol = names[position] if position < len(names) else gene
            builder.relate(builder.node(PROTEIN, gene, symbol), RELATIONS["GpBP"], term)
    return left_out

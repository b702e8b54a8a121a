"""Machine-readable output: answers as TSV, CSV or JSON, and the proteins found as FASTA."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from data_pipelines.common.errors import UserError
from data_pipelines.common.outputs import new_file
from data_pipelines.common.plain_text import plain, without_controls
from data_pipelines.common.tables import DELIMITERS, TableWriter
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.answer import (
    Hit,
    alignment_cells,
    as_dicts,
    confidence_cells,
    is_confident,
    verdict,
)
from protclip_jax.retrieval.engine import PROTEINS
from protclip_jax.retrieval.index_folder import Index
from protclip_jax.search.replies import Reply, with_summary

FACTS = (
    "id",
    "entry_name",
    "name",
    "gene",
    "organism",
    "taxon",
    "length",
    "source",
    "function",
    "location",
)
"""Fields of a hit that describe its item; labels have only an id, a name and a source."""
NUMBERS = ("cosine", "margin", "confidence", "low", "base_rate", "trait", "q")
"""Columns for the similarity and confidence of a hit; empty for look-ups."""
COLUMNS = (
    *("query", "question", "aspect", "by", "rank", *FACTS, "evidence"),
    *(*NUMBERS, "homolog", "identity", "evalue"),
)
LINE = 60
"""Residues per line of FASTA, as in UniProt."""

Write = Callable[[TextIO, Iterator[Reply]], None]


def writer_of(output: str, *, least: float, proteins: Index | None) -> Write:
    """Selects the writer by the suffix of the output; `-` is TSV.

    Args:
      least: minimum confidence of a confident answer.
      proteins: the index of proteins, for FASTA.
    """
    suffix = Path(output).suffix
    if suffix == ".json":
        return lambda file, found: write_json(file, found, least)
    if suffix == ".fasta":
        return lambda file, found: write_fasta(file, found, proteins)
    delimiter = DELIMITERS.get(suffix, "\t")
    return lambda file, found: write_table(file, found, least, delimiter=delimiter)


@contextlib.contextmanager
def opened_output(output: str) -> Iterator[TextIO]:
    """Opens stdout for `-`, else a new file, which is written completely or not at all."""
    if output == "-":
        yield sys.stdout
        return
    with new_file(Path(output)) as path, open(path, "w", encoding="utf-8", newline="") as file:
        yield file


def write_table(file: TextIO, found: Iterator[Reply], least: float, *, delimiter: str) -> None:
    """Writes a header and one line per hit, with empty cells for missing values.

    Reports on stderr how many answers are not confident.
    """
    table = TableWriter(file, delimiter=delimiter)
    table.writerow(COLUMNS)
    for query, aspect, answer in with_summary(found, least):
        for hit in [*answer.matches, *answer.hits]:
            position = (query.name, query.text, aspect, hit.by, hit.rank)
            facts = (getattr(hit, name) for name in FACTS)
            evidence = "; ".join(hit.evidence or ())
            numbers = (*_numbers(hit), *alignment_cells(hit))
            table.writerow((*position, *facts, evidence, *numbers))


def _numbers(hit: Hit) -> tuple[str, ...]:
    """Formats the cells of `NUMBERS`."""
    if hit.cosine is None:
        return ("",) * len(NUMBERS)
    return (f"{hit.cosine:.6f}", f"{hit.margin:.6f}", *confidence_cells(hit))


def write_json(file: TextIO, found: Iterator[Reply], least: float) -> None:
    """Writes a list with one object per query and aspect, in a stream."""
    file.write("[")
    for position, (query, aspect, answer) in enumerate(found):
        entry = {
            "query": query.name,
            "question": query.text,
            "kind": query.kind,
            "contents": query.contents,
            "aspect": aspect,
            "background": {"mean": answer.mean, "items": answer.background},
            "confident": is_confident(answer, least),
            "verdict": verdict(answer, least),
            "matches": as_dicts(answer.matches),
            "hits": as_dicts(answer.hits),
        }
        file.write((",\n" if position else "\n") + json.dumps(plain(entry), ensure_ascii=False))
    file.write("\n]\n")


def write_fasta(file: TextIO, found: Iterator[Reply], proteins: Index) -> None:
    """Writes the proteins found for all queries, each once, with headers like those of UniProt.

    Raises:
      UserError: the index lacks the sequence of a protein.
    """
    written: set[int] = set()
    for _, aspect, answer in found:
        for hit in [*answer.matches, *answer.hits] if aspect == PROTEINS else ():
            if hit.row not in written:
                written.add(hit.row)
                file.write(fasta_record(item_table.item_at(proteins.items, hit.row), proteins))


def fasta_record(item: dict, proteins: Index) -> str:
    """Formats a protein of an index as FASTA; raises UserError if the index lacks its sequence."""
    if not item["sequence"]:
        raise UserError(
            f"the index {proteins.folder} has no sequence of {item['id']}; write *.tsv, or "
            "recreate the index from sequences instead of embeddings."
        )
    gene = item["genes"][0] if item["genes"] else ""
    known = {"OS": item["organism"], "OX": item["taxon"], "GN": gene, "PE": item["existence"]}
    fields = [f"{key}={value}" for key, value in known.items() if value]
    header = " ".join(without_controls(" ".join([item["id"], item["name"], *fields])).split())
    residues = item["sequence"]
    lines = [residues[start : start + LINE] for start in range(0, len(residues), LINE)]
    return "\n".join([f">{header}", *lines]) + "\n"

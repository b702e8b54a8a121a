"""Answers as files for programs: TSV and CSV, JSON, and the proteins found as FASTA."""

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
    is_confident,
    sureness_cells,
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
"""What a hit tells of its item; labels have an id, a name and a source only."""
NUMBERS = ("cosine", "margin", "confidence", "low", "base_rate", "trait", "q")
"""What says how near and how sure a hit is; a look-up's has none of them."""
COLUMNS = (
    *("query", "question", "aspect", "by", "rank", *FACTS, "evidence"),
    *(*NUMBERS, "homolog", "identity", "evalue"),
)
LINE = 60
"""Residues of a line of FASTA, as UniProt has it."""

Write = Callable[[TextIO, Iterator[Reply]], None]


def writer_of(output: str, *, least: float, proteins: Index | None) -> Write:
    """What writes the output of that name, TSV where it is `-`.

    Args:
      least: confidence below which an answer counts as none.
      proteins: the index, for FASTA.
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
    """Stdout for `-`, else the file, which is there whole or not at all."""
    if output == "-":
        yield sys.stdout
        return
    with new_file(Path(output)) as path, open(path, "w", encoding="utf-8", newline="") as file:
        yield file


def write_table(file: TextIO, found: Iterator[Reply], least: float, *, delimiter: str) -> None:
    """A line a hit, under a header; what a hit does not have stays empty. How many answers are
    not sure is told on stderr."""
    table = TableWriter(file, delimiter=delimiter)
    table.writerow(COLUMNS)
    for query, aspect, answer in with_summary(found, least):
        for hit in [*answer.matches, *answer.hits]:
            asked = (query.name, query.text, aspect, hit.by, hit.rank)
            facts = (getattr(hit, name) for name in FACTS)
            evidence = "; ".join(hit.evidence or ())
            numbers = (*_numbers(hit), *alignment_cells(hit))
            table.writerow((*asked, *facts, evidence, *numbers))


def _numbers(hit: Hit) -> tuple[str, ...]:
    """The cells of `NUMBERS`."""
    if hit.cosine is None:
        return ("",) * len(NUMBERS)
    return (f"{hit.cosine:.6f}", f"{hit.margin:.6f}", *sureness_cells(hit))


def write_json(file: TextIO, found: Iterator[Reply], least: float) -> None:
    """A list with an object for each question and aspect, written as they are answered."""
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
    """The proteins found for any question, each once, in the order in which they are found, with
    headers as UniProt has them.

    Raises:
      UserError: the index does not hold the sequence of one of them.
    """
    written: set[int] = set()
    for _, aspect, answer in found:
        for hit in [*answer.matches, *answer.hits] if aspect == PROTEINS else ():
            if hit.row not in written:
                written.add(hit.row)
                file.write(fasta_record(item_table.item_at(proteins.items, hit.row), proteins))


def fasta_record(item: dict, proteins: Index) -> str:
    """A protein of an index as FASTA; raises UserError where the index lacks its sequence."""
    if not item["sequence"]:
        raise UserError(
            f"the index {proteins.folder} does not hold the sequence of {item['id']}; write *.tsv, "
            "or make the index from sequences instead of embeddings."
        )
    gene = item["genes"][0] if item["genes"] else ""
    known = {"OS": item["organism"], "OX": item["taxon"], "GN": gene, "PE": item["existence"]}
    fields = [f"{key}={value}" for key, value in known.items() if value]
    header = " ".join(without_controls(" ".join([item["id"], item["name"], *fields])).split())
    residues = item["sequence"]
    lines = [residues[start : start + LINE] for start in range(0, len(residues), LINE)]
    return "\n".join([f">{header}", *lines]) + "\n"

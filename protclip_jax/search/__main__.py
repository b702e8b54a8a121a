"""`python -m protclip_jax.search`: proteins for a text or a protein, and descriptions for a
protein, from an index."""

import argparse
import contextlib
import csv
import dataclasses
import functools
import itertools
import json
import os
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from data_pipelines.common.errors import UserError, command, one_line
from data_pipelines.common.extras import missing_extra
from data_pipelines.common.outputs import new_file, refuse_existing
from data_pipelines.common.plain_text import plain, tsv_cell
from data_pipelines.common.progress import tell
from data_pipelines.common.warned import warnings_as_sentences
from data_pipelines.inputs.input_formats import BY_NAME, DESCRIPTION, TEXT_FORMATS, listed
from data_pipelines.inputs.model_input import Source
from data_pipelines.inputs.plausibility import doubt
from data_pipelines.inputs.source_options import choose_source, is_piped, refuse_unread, spool
from data_pipelines.protanno.record import PREFIXES
from protclip_jax.inference.cpu_devices import split_cpu
from protclip_jax.inference.user_inputs import UNKNOWN_WORDS
from protclip_jax.retrieval.answer import (
    Answer,
    Hit,
    as_dicts,
    check_least,
    is_confident,
    not_known,
    sureness_cells,
    verdict,
)
from protclip_jax.retrieval.calibration import LEAST
from protclip_jax.retrieval.engine import TOP, SearchEngine
from protclip_jax.retrieval.query import Query, phrased, protein_query
from protclip_jax.retrieval.scores import DEFINITION
from protclip_jax.retrieval.taxa import rows_of_taxa

QUERIES_AT_ONCE = 256
OUTPUTS = (".tsv", ".json")
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
COLUMNS = ("query", "by", "rank", *FACTS, *NUMBERS)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; argparse itself ends with code 2 on what it does not understand."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.search",
        description="Finds the proteins of an index nearest to a text or a protein, or the labels "
        "nearest to a protein.",
        epilog="cosine: similarity of query and item in the space shared by proteins and texts. "
        "rank: place among all items "
        f"of an exact index, or among the candidates of an approximate one. {DEFINITION}. "
        "Example: python -m protclip_jax.search --checkpoint runs/demo --index "
        "proteins.index --text 'zinc-binding protease'",
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        metavar="DIR",
        help="the checkpoint that the index was made with",
    )
    add("--step", help="a step's number, best or latest (default: best if recorded, else latest)")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--index", type=Path, metavar="DIR", help="find proteins of this index")
    target.add_argument(
        "--labels",
        type=Path,
        metavar="DIR|FILE",
        help="find labels: an index made with `index --labels`, or a file of labels, which is "
        "embedded each time",
    )
    query = parser.add_mutually_exclusive_group(required=True)
    query.add_argument(
        "--text",
        nargs="+",
        metavar="PROMPT",
        help="one question; several prompts for it are averaged. A text that begins with no "
        f"{', no '.join(PREFIXES.values())} "
        f"is asked as '{phrased('…')}', for so the texts begin that a model learns from",
    )
    query.add_argument("--sequence", help="one protein's residues")
    query.add_argument(
        "--input",
        metavar="FILE",
        help=f"many questions: {DESCRIPTION}; - reads stdin",
    )
    add("--format", choices=BY_NAME, help="of --input (default: by its name; fasta for stdin)")
    add(
        "--modality",
        choices=("protein", "text"),
        help=f"of --input (default: protein; text for {listed(TEXT_FORMATS)})",
    )
    add(
        "--column",
        help="of a table, with the texts or sequences (default: text; sequence, Sequence or seq)",
    )
    add(
        "--id_column",
        help="of a table, with the ids (default: id, Entry or accession, else the row's number)",
    )
    add("--verbatim", action="store_true", help="ask texts exactly as they are")
    add(
        "--taxon",
        nargs="+",
        metavar="ID|NAME",
        help="only proteins of these organisms: ids of NCBI's taxonomy, without the taxa below "
        "them, or how scientific names "
        "begin, as 'Saccharomyces'; with --index",
    )
    add(
        "--min_confidence",
        type=float,
        default=LEAST,
        metavar="SHARE",
        help="a best hit of a lower confidence counts as no confident answer (default %(default)s)",
    )
    add("--top", type=int, default=TOP, help="hits for each question (default %(default)s)")
    add(
        "--output",
        metavar="FILE",
        help=f"a new file named *{' or *'.join(OUTPUTS)}; - writes TSV to stdout (default: a "
        "table for people on stdout)",
    )
    add(
        "--cpu_devices",
        type=int,
        help="virtual devices of a CPU (default: 1 for a single question, else its cores)",
    )
    return parser.parse_args(arguments)


def read_queries(options: argparse.Namespace) -> Iterator[Query]:
    """The questions, one after the other; what cannot be used is told on stderr.

    Raises:
      UserError: a question on the command line cannot be used, or no question of a file.
    """
    if not options.input:
        refuse_unread(options, ("format", "modality", "column", "id_column"), owner="--input")
    if options.sequence is not None:
        refuse_unread(options, ("verbatim",), owner="texts")
    if options.text:
        if not all(text.strip() for text in options.text):
            raise UserError("--text is empty; say what to look for.")
        prompts = phrased_all(options.text, options)
        yield Query(
            " + ".join(prompts), "text", prompts, options.text[0] if len(prompts) == 1 else ""
        )
    elif options.sequence is not None:
        try:
            query, changes = protein_query("", options.sequence)
        except ValueError as error:
            raise UserError(f"--sequence is no protein: {error}.") from error
        if changes:
            tell(f"sequence: {', '.join(f'{count} {what}' for what, count in changes.items())}")
        if looks := doubt(query.contents[0]):
            tell(f"sequence: it looks like {looks}, not like a protein.")
        yield query
    else:
        yield from _file_queries(options)


def phrased_all(prompts: Sequence[str], options: argparse.Namespace) -> tuple[str, ...]:
    """The prompts as they are asked."""
    return tuple(prompts if options.verbatim else map(phrased, prompts))


def _file_queries(options: argparse.Namespace) -> Iterator[Query]:
    source = choose_source(options)
    with tempfile.TemporaryDirectory() as folder:
        if is_piped(source.path):
            source = dataclasses.replace(source, path=spool(source.path, Path(folder) / "stdin"))
        yield from _queries_of(source, options)


def _queries_of(source: Source, options: argparse.Namespace) -> Iterator[Query]:
    used, skipped = 0, 0
    tell(*source.notes())
    for item in source.prepared():
        if item.fault:
            skipped += 1
            tell(one_line(f"line {item.line}: {item.id} is left out: {item.fault}"))
            continue
        used += 1
        if item.doubt:
            tell(
                one_line(
                    f"line {item.line}: {item.id} looks like {item.doubt}, not like a protein."
                )
            )
        if source.modality == "text":
            yield Query(item.id, "text", phrased_all([item.text], options), item.text)
        else:
            yield Query(item.id, source.modality, (item.text,))
    if skipped:
        tell(f"{skipped:,} of {used + skipped:,} questions of {source.path} were left out.")
    if not used:
        raise UserError(f"{source.path} holds no question that can be asked.")


def answered(
    engine: SearchEngine, queries: Iterator[Query], *, top: int, taxa: Sequence[str] | None = None
) -> Iterator[tuple[Query, Answer]]:
    """Each question with its answer, in their order; proteins of some organisms only where `taxa`
    name them.

    A question whose words the model does not know is answered by look-up alone, or left out
    where nothing is called so.
    """
    index = engine.proteins or next(iter(engine.libraries.values()))
    among = rows_of_taxa(index.items, taxa, folder=index.folder) if taxa else None
    asked = 0
    while some := list(itertools.islice(queries, QUERIES_AT_ONCE)):
        matches = [engine.matches(index, query, top, among=among) for query in some]
        readable = list(map(functools.partial(is_readable, engine), some, matches))
        chosen = list(itertools.compress(some, readable))
        found = iter(
            engine.answers(index, chosen, engine.embed(chosen), top, among=among) if chosen else ()
        )
        for query, own, is_asked in zip(some, matches, readable, strict=True):
            if is_asked or own:
                asked += 1
                yield (
                    query,
                    dataclasses.replace(next(found) if is_asked else Answer([]), matches=own),
                )
    if not asked:
        raise UserError("no question is left that can be asked.")


def is_readable(engine: SearchEngine, query: Query, matches: Sequence[Hit]) -> bool:
    """Whether the vocabulary has any word of a question; what it lacks is told on stderr."""
    if query.kind == "protein":
        return True
    try:
        unknown = engine.unknown_words(query.contents)
    except UserError as error:
        tell(one_line(f"{query.name} is {'only looked up' if matches else 'left out'}: {error}"))
        return False
    if unknown:
        tell(one_line(f"{query.name}: not in the model's vocabulary: {', '.join(unknown[:10])}."))
    return True


def write_tsv(file: TextIO, answers: Iterator[tuple[Query, Answer]], least: float) -> None:
    """A line a hit, under a header; what a hit does not have stays empty. How many answers are
    not sure is told on stderr."""
    table = csv.writer(file, delimiter="\t", lineterminator="\n")
    table.writerow(COLUMNS)
    unsure, unknown = Counter(), {}
    for query, answer in answers:
        sure = is_confident(answer, least)
        unsure[sure] += 1
        if sure is None and answer.hits:
            unknown[not_known(answer)] = True
        for hit in [*answer.matches, *answer.hits]:
            named = [query.name, hit.by, hit.rank, *(getattr(hit, name) for name in FACTS)]
            table.writerow((*map(tsv_cell, named), *numbers_of(hit)))

    if unsure[False]:
        tell(
            f"{unsure[False]:,} of {unsure.total():,} questions have no confident answer "
            f"(--min_confidence {least:g})."
        )
    tell(*unknown)


def numbers_of(hit: Hit) -> tuple[str, ...]:
    """The cells of `NUMBERS`."""
    if hit.cosine is None:
        return ("",) * len(NUMBERS)
    return (f"{hit.cosine:.6f}", f"{hit.margin:.6f}", *sureness_cells(hit))


def write_json(file: TextIO, answers: Iterator[tuple[Query, Answer]], least: float) -> None:
    """A list with an object a question, written as they are answered."""
    file.write("[")
    for position, (query, answer) in enumerate(answers):
        background = {"mean": answer.mean, "items": answer.background}
        sure = {"confident": is_confident(answer, least), "verdict": verdict(answer, least)}
        entry = {
            "query": query.name,
            "kind": query.kind,
            "contents": query.contents,
            "background": background,
        } | sure
        found = {"matches": as_dicts(answer.matches), "hits": as_dicts(answer.hits)}
        file.write(
            (",\n" if position else "\n") + json.dumps(plain(entry | found), ensure_ascii=False)
        )
    file.write("\n]\n")


ALIGNED_RIGHT = ("rank", "length", "cosine", "confidence", "q")


def print_tables(answers: Iterator[tuple[Query, Answer]], least: float) -> None:
    """A table a question on stdout."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError as error:
        raise missing_extra("the table without --output needs rich", "search", error) from error
    console = Console(width=None if sys.stdout.isatty() else 120)
    for query, answer in answers:
        table = Table(title=Text(one_line(query.name)), title_justify="left", header_style="bold")
        proteins = any(hit.length is not None for hit in [*answer.matches, *answer.hits])
        more = ("gene", "organism", "length") if proteins else ()
        shown = "confidence" if any(hit.confidence for hit in answer.hits) else "q"
        for name in ("rank", "id", "what", *more, "cosine", shown):
            table.add_column(
                name, justify="right" if name in ALIGNED_RIGHT else "left", overflow="fold"
            )
        for hit in [*answer.matches, *answer.hits]:
            numbers = (hit.by, "") if hit.cosine is None else (f"{hit.cosine:.3f}", sureness(hit))
            about = (hit.gene or "", hit.organism or "", str(hit.length or "?")) if proteins else ()
            cells = (str(hit.rank), named(hit), described(hit), *map(one_line, about), *numbers)
            # Text, as brackets in a name are no markup.
            table.add_row(*map(Text, cells))
        console.print(table)
        if answer.hits:
            console.print(Text(verdict(answer, least), style="dim"))


def named(hit: Hit) -> str:
    """The id, and below it the entry name that it does not hold itself."""
    own = [hit.entry_name] if hit.entry_name and hit.entry_name not in hit.id else []
    return "\n".join(map(one_line, [hit.id, *own]))


def sureness(hit: Hit) -> str:
    """The confidence with its trait, or the q-value; '' where neither is known."""
    if hit.confidence:
        return f"{hit.confidence.share:.2f} {hit.confidence.trait}"
    return "" if hit.q_value is None else f"{hit.q_value:.2g}"


def described(hit: Hit) -> str:
    """The name, and below it a line of what the item does and where."""
    about = " · ".join(filter(None, (hit.function, hit.location)))
    return "\n".join(map(one_line, filter(None, (hit.name, about))))


@contextlib.contextmanager
def opened_output(output: str) -> Iterator[TextIO]:
    """Stdout for `-`, else the file, which is there whole or not at all."""
    if output == "-":
        yield sys.stdout
        return
    with new_file(Path(output)) as path, open(path, "w", encoding="utf-8", newline="") as file:
        yield file


def write(answers: Iterator[tuple[Query, Answer]], output: str | None, least: float) -> None:
    """The answers in the form that the output's name tells; without one as tables.

    Args:
      least: confidence below which an answer counts as none.
    """
    if output is None:
        print_tables(answers, least)
    else:
        with opened_output(output) as file:
            (write_json if output.endswith(".json") else write_tsv)(file, answers, least)
    sys.stdout.flush()


@command
def main(arguments: Sequence[str] | None = None) -> int | None:
    """Answers every question."""
    options = parse_arguments(arguments)
    if options.top < 1:
        raise UserError(f"--top={options.top} must be at least 1.")
    check_least(options.min_confidence, "--min_confidence")
    if options.labels:
        refuse_unread(options, ("taxon",), owner="--index")
    if options.output and options.output != "-" and Path(options.output).suffix not in OUTPUTS:
        raise UserError(
            f"--output={options.output} must be named *{' or *'.join(OUTPUTS)}, or be - for stdout."
        )
    if options.output and options.output != "-":
        refuse_existing([Path(options.output)])
    split_cpu(options.cpu_devices or (None if options.input else 1))
    queries = read_queries(options)
    # What is wrong with the first question is told before the model takes its time to load.
    queries = itertools.chain([next(queries)], queries)
    labels = [options.labels] if options.labels else []
    with warnings_as_sentences():
        # Told of each question already.
        warnings.filterwarnings("ignore", message=UNKNOWN_WORDS)
        engine = SearchEngine.load(
            options.checkpoint, index=options.index, labels=labels, step=options.step
        )
        try:
            write(
                answered(engine, queries, top=options.top, taxa=options.taxon),
                options.output,
                options.min_confidence,
            )
        except BrokenPipeError:
            # Whoever reads it, as `head`, has enough; Python would complain again when it flushes
            # stdout at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
    if options.output and options.output != "-":
        tell(f"wrote {options.output}")
    return None


if __name__ == "__main__":
    sys.exit(main())

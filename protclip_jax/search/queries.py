"""Reads the queries of the search command from its options or a file."""

import argparse
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError, one_line
from data_pipelines.common.progress import print_status
from data_pipelines.inputs.model_input import Prepared, Source
from data_pipelines.inputs.plausibility import doubt
from data_pipelines.inputs.source_options import choose_source, is_piped, refuse_unread, spool
from data_pipelines.readers.streams.reading_progress import reading_progress
from protclip_jax.retrieval.query import Query, phrased, protein_query


def read_queries(options: argparse.Namespace) -> Iterator[Query]:
    """Yields the queries; reports unusable ones of a file on stderr.

    Raises:
      UserError: a query on the command line is unusable, or all queries of a file are.
    """
    if not options.input:
        refuse_unread(options, ("format", "modality", "column", "id_column"), owner="--input")
    if options.sequence is not None:
        refuse_unread(options, ("verbatim",), owner="texts")
    if options.text:
        if not all(text.strip() for text in options.text):
            raise UserError("--text is empty; describe a protein.")
        prompts = phrased_all(options.text, options)
        typed = options.text[0] if len(prompts) == 1 else ""
        yield Query(" + ".join(prompts), "text", prompts, typed, " + ".join(options.text))
    elif options.sequence is not None:
        try:
            query, changes = protein_query("", options.sequence)
        except ValueError as error:
            raise UserError(f"--sequence is not a valid protein: {error}.") from error
        if changes:
            print_status(
                f"sequence: {', '.join(f'{count} {what}' for what, count in changes.items())}"
            )
        if kind := doubt(query.contents[0]):
            print_status(f"sequence: it looks like {kind}, not like a protein.")
        yield query
    else:
        yield from _file_queries(options)


def phrased_all(prompts: Sequence[str], options: argparse.Namespace) -> tuple[str, ...]:
    """Adds missing property prefixes to prompts (`phrased`), unless `--verbatim` is set."""
    return tuple(prompts if options.verbatim else map(phrased, prompts))


def _file_queries(options: argparse.Namespace) -> Iterator[Query]:
    source = choose_source(options)
    if source.modality == "text":
        refuse_unread(options, ("hits",), owner="proteins")
    with tempfile.TemporaryDirectory() as folder:
        if is_piped(source.path):
            source = dataclasses.replace(source, path=spool(source.path, Path(folder) / "stdin"))
        yield from _queries_of(source, options)


def _queries_of(source: Source, options: argparse.Namespace) -> Iterator[Query]:
    used, skipped = 0, 0
    print_status(*source.notes())
    for item in _with_progress(source, options):
        if item.fault:
            skipped += 1
            print_status(one_line(f"line {item.line}: {item.id} was skipped: {item.fault}"))
            continue
        used += 1
        if item.doubt:
            print_status(
                one_line(
                    f"line {item.line}: {item.id} looks like {item.doubt}, not like a protein."
                )
            )
        if source.modality == "text":
            prompts = phrased_all([item.text], options)
            yield Query(item.id, "text", prompts, item.text, item.text)
        else:
            yield Query(item.id, source.modality, (item.text,), text=item.name)
    if skipped:
        print_status(f"skipped {skipped:,} of {used + skipped:,} queries of {source.path}.")
    if not used:
        raise UserError(f"{source.path} has no usable queries; give another --input.")


def _with_progress(source: Source, options: argparse.Namespace) -> Iterator[Prepared]:
    """Yields the items of a file, with progress on stderr unless tables are printed to stdout."""
    if options.output is None:
        return source.prepared()
    return reading_progress(source.prepared(), [source.path], description="search", noun="queries")

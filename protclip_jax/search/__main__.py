"""`python -m protclip_jax.search`: proteins for a text or a protein from an index, and labels for
a protein from libraries."""

import argparse
import itertools
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence

from data_pipelines.common.errors import command
from data_pipelines.common.progress import tell
from data_pipelines.common.warned import warnings_as_sentences
from protclip_jax.inference.cpu_devices import split_cpu
from protclip_jax.inference.user_inputs import UNKNOWN_WORDS
from protclip_jax.retrieval.engine import SearchEngine
from protclip_jax.search.command_line import check, parse_arguments
from protclip_jax.search.outputs import opened_output, writer_of
from protclip_jax.search.questions import read_queries
from protclip_jax.search.replies import Reply, replies
from protclip_jax.search.text_tables import print_tables


def write(found: Iterator[Reply], engine: SearchEngine, options: argparse.Namespace) -> None:
    """The answers in the form that the output's name tells; without one as tables."""
    least = options.min_confidence
    if options.output is None:
        print_tables(found, least)
    else:
        write_to = writer_of(options.output, least=least, proteins=engine.proteins)
        with opened_output(options.output) as file:
            write_to(file, found)
    sys.stdout.flush()


@command
def main(arguments: Sequence[str] | None = None) -> int | None:
    """Answers every question."""
    options = parse_arguments(arguments)
    check(options)
    split_cpu(options.cpu_devices or (None if options.input else 1))
    queries = read_queries(options)
    # What is wrong with the first question is told before the model takes its time to load.
    queries = itertools.chain([next(queries)], queries)
    with warnings_as_sentences():
        # Told of each question already.
        warnings.filterwarnings("ignore", message=UNKNOWN_WORDS)
        engine = SearchEngine.load(
            options.checkpoint,
            index=options.index,
            labels=options.labels,
            step=options.step,
            hits=options.hits,
        )
        if engine.homology is not None:
            tell(f"{options.hits}: {len(engine.homology):,} proteins have relatives in the index.")
        try:
            found = replies(engine, queries, top=options.top, taxa=options.taxon)
            write(found, engine, options)
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

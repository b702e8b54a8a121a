"""`python -m protclip_jax.search`: finds proteins in an index and labels in libraries."""

import argparse
import itertools
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence

from data_pipelines.common.errors import command
from data_pipelines.common.progress import print_status
from data_pipelines.common.warned import warnings_as_sentences
from protclip_jax.distributed.cpu_devices import split_cpu
from protclip_jax.inference.user_inputs import UNKNOWN_WORDS
from protclip_jax.retrieval.engine import SearchEngine
from protclip_jax.search.command_line import check, parse_arguments
from protclip_jax.search.outputs import opened_output, writer_of
from protclip_jax.search.queries import read_queries
from protclip_jax.search.replies import Reply, replies
from protclip_jax.search.text_tables import print_tables


def write(found: Iterator[Reply], engine: SearchEngine, options: argparse.Namespace) -> None:
    """Writes the answers in the format of the output's suffix, or prints them as tables."""
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
    """Answers all queries of the command line."""
    options = parse_arguments(arguments)
    check(options)
    split_cpu(options.cpu_devices or (None if options.input else 1))
    queries = read_queries(options)
    # Report errors in the first query before the slow loading of the model.
    queries = itertools.chain([next(queries)], queries)
    with warnings_as_sentences():
        # `replies` reports unknown words for each query.
        warnings.filterwarnings("ignore", message=UNKNOWN_WORDS)
        engine = SearchEngine.load(
            options.checkpoint,
            index=options.index,
            labels=options.labels,
            step=options.step,
            hits=options.hits,
        )
        if engine.homology is not None:
            print_status(
                f"{options.hits}: {len(engine.homology):,} proteins have homologs in the index."
            )
        try:
            found = replies(engine, queries, top=options.top, taxa=options.taxon)
            write(found, engine, options)
        except BrokenPipeError:
            # The reader, such as `head`, has closed the pipe. Replace stdout, or Python would raise
            # again when it flushes stdout at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
    if options.output and options.output != "-":
        print_status(f"wrote {options.output}")
    return None


if __name__ == "__main__":
    sys.exit(main())

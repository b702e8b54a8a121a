"""Reads unrelated proteins that serve as decoys in addition to shuffled ones."""

import argparse
from collections import Counter
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import print_status
from data_pipelines.inputs.input_formats import Fasta
from data_pipelines.inputs.model_input import Source
from protclip_jax.retrieval.nearest import sample_rows
from protclip_jax.retrieval.scores import DECOYS, LEAST_TAIL

MIN_DECOYS = 10 * LEAST_TAIL
"""Minimum number of decoys; the highest tenth estimates how their share falls with the cosine."""


def read_decoys(path: Path) -> list[str]:
    """Reads the distinct sequences of a FASTA file, or a random sample of `DECOYS` of them.

    Prints the numbers of unusable proteins.

    Raises:
      UserError: the file cannot be read, or has fewer than `MIN_DECOYS` distinct sequences.
    """
    found, faults = {}, Counter()
    for item in Source(path=path, format=Fasta.name, modality="protein").prepared():
        if item.fault:
            faults[item.fault] += 1
        else:
            found[item.text] = True
    for fault, count in faults.items():
        print_status(f"{path}: skipped {count:,} proteins: {fault}.")
    if len(found) < MIN_DECOYS:
        raise UserError(
            f"--decoys={path} has only {len(found)} distinct proteins; pass at least {MIN_DECOYS}, "
            "or omit the option to use shuffled proteins alone."
        )
    sequences = list(found)
    return [sequences[row] for row in sample_rows(len(sequences), DECOYS).tolist()]


def check_decoys(options: argparse.Namespace) -> None:
    """Raises UserError if `--decoys` cannot be used, before anything is embedded."""
    if options.decoys is None:
        return
    if options.labels:
        raise UserError("--decoys applies to proteins, not to --labels; omit it.")
    if options.checkpoint is None:
        raise UserError("--decoys requires --checkpoint, because the decoys must be embedded.")
    read_decoys(options.decoys)

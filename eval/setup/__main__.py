"""`protclip setup swissprot --model DIR --output DIR`: makes a searchable index from UniProt.

It downloads the proteins, builds a dataset, calibrates the model and makes an index, after an
estimate of disk, memory and time. Rerunning the same command line resumes a stopped run: finished
steps are skipped, the download and the index continue, the dataset and the calibration restart.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from data_pipelines.build.__main__ import usable_cores
from data_pipelines.common.bucket import is_bucket
from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.json_object import read_json
from data_pipelines.common.progress import print_status
from data_pipelines.common.warned import warnings_as_sentences
from data_pipelines.download.connection_options import (
    add_connection_options,
    base_url,
    check_connection_options,
)
from data_pipelines.download.sources import FILES_URL, REST_URL, Connection, extent
from data_pipelines.protanno.dataset import STATISTICS
from eval.setup import estimate
from eval.setup.plan_file import adopt_plan
from eval.setup.steps import Setup, is_built, steps_of
from protclip_jax.checkpoints import best
from protclip_jax.checkpoints.parameters import stored_groups
from protclip_jax.convert.hub_folder import is_exported
from protclip_jax.distributed.cpu_devices import split_cpu
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.retrieval.calibration import FILE, read_calibration, stale_sentence

NEEDED = ("protein", "protein_projection", "text", "text_projection")
"""Parameter groups needed to compare proteins and texts."""


class Facts(NamedTuple):
    """What the estimate needs to know about a model, so that it need not stay in memory."""

    fingerprint: str
    parameter_bytes: int
    width: int
    speed: float


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line; argparse exits with code 2 if it is invalid."""
    parser = argparse.ArgumentParser(
        prog="protclip setup",
        epilog="Example: protclip setup swissprot --model protclip --output swissprot",
        description="Downloads proteins from UniProt, builds a dataset, calibrates a model on it, "
        "and makes an index of all proteins for search, serve and annotate. Prints an estimate of "
        "the cost first; the same command resumes a stopped run.",
    )
    parser.add_argument(
        "what",
        metavar="swissprot|proteome:UPID",
        help="proteins to set up, e.g. proteome:UP000005640",
    )
    parser.add_argument(
        "--model",
        type=Path,
        required=True,
        metavar="DIR",
        help="local workdir or converted checkpoint; the calibration is stored in it",
    )
    parser.add_argument(
        "--step",
        help="step to load: a number, best or latest (default: best if recorded, else latest)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="new folder, or one that this command has started",
    )
    parser.add_argument(
        "--estimate_only",
        action="store_true",
        help="print the estimate and exit without downloading anything",
    )
    parser.add_argument(
        "--base_url",
        type=base_url,
        help=f"mirror of {FILES_URL} or, for a proteome, of {REST_URL}",
        metavar="URL",
    )
    add_connection_options(parser)
    return parser.parse_args(arguments)


def check_model(model: Path, step: str | None) -> None:
    """Raises UserError unless a folder is a checkpoint that can be calibrated and searched with."""
    if is_bucket(model) or is_exported(model):
        raise UserError(
            f"--model={model} cannot store the calibration; convert it with `python -m "
            f"protclip_jax.convert params --checkpoint {model} --output DIR` and pass DIR."
        )
    groups = stored_groups(model, best.resolve_step(model, step))
    if missing := [group for group in NEEDED if group not in groups]:
        raise UserError(
            f"--model={model} has no {', '.join(missing)} parameters, so proteins and texts "
            "cannot be compared; pass a trained or converted ProtCLIP."
        )
    if not os.access(model, os.W_OK):
        raise UserError(
            f"--model={model} is not writable, but the calibration is stored there; copy the "
            "checkpoint, or change the folder's permissions."
        )


def facts_of(setup: Setup) -> Facts:
    """Loads the model and measures its speed.

    Raises:
      UserError: its calibration belongs to another step or model.
    """
    model = ProtCLIP.load(setup.model, step=setup.step)
    known = read_calibration(setup.model / FILE)
    if known is not None and not model.is_named_by(known.checkpoint):
        raise UserError(stale_sentence(setup.model / FILE))
    width = model.config["model"]["projection_dim"]
    speed = estimate.tokens_per_second(model)
    return Facts(model.fingerprint, model.parameter_bytes, width, speed)


def extent_of(setup: Setup) -> estimate.Extent:
    """The size of the proteins: from the built dataset, the download, or UniProt."""
    if is_built(setup):
        records = read_json(setup.dataset / STATISTICS).get("records", 0)
        return estimate.known_extent(None, records)
    if setup.source.exists():
        return estimate.known_extent(setup.source.stat().st_size, None)
    return estimate.known_extent(*extent(setup.what, setup.connection))


def held_bytes(setup: Setup) -> int:
    """Bytes that an earlier run left of the step in which it was stopped, and that are reused."""
    partial = Path(f"{setup.source}.partial")
    parts = setup.index.with_name(f"{setup.index.name}.partial")
    files = [partial, *parts.rglob("*")] if parts.is_dir() else [partial]
    return sum(path.stat().st_size for path in files if path.is_file())


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the estimate, then runs the remaining steps."""
    options = parse_arguments(arguments)
    check_connection_options(options)
    connection = Connection(options.base_url, options.timeout, options.tries)
    setup = Setup(
        what=options.what,
        output=options.output,
        model=options.model,
        step=options.step,
        connection=connection,
    )
    if setup.source.name.startswith("uniprot_trembl"):
        raise UserError("TrEMBL is too large to set up; pass swissprot or proteome:UPID.")
    # Must come before a checkpoint is read, which starts JAX.
    split_cpu(None)
    check_model(setup.model, setup.step)
    with warnings_as_sentences(), report_disk_errors(setup.output):
        run(setup, estimate_only=options.estimate_only)


def run(setup: Setup, *, estimate_only: bool) -> None:
    """Prints the estimate and, unless `estimate_only`, runs the remaining steps.

    Raises:
      UserError: the disk is too small, or as in the steps.
    """
    facts, steps = facts_of(setup), steps_of(setup)
    if setup.output.exists():
        adopt_plan(setup.output, what=setup.what, checkpoint=facts.fingerprint)
    remaining = {name: step for name, step in steps.items() if not step.is_done()}
    if remaining:
        print_estimate(setup, facts, list(remaining))
    if estimate_only:
        return
    adopt_plan(setup.output, what=setup.what, checkpoint=facts.fingerprint)
    for number, (name, step) in enumerate(steps.items(), 1):
        if step.is_done():
            print_status(f"step {number} of {len(steps)}, {name}: already done.")
            continue
        print_status(f"step {number} of {len(steps)}, {name}.")
        step.run()
    print(setup.index)
    print_status(
        f"Search it with: protclip search --checkpoint {setup.model} --index {setup.index} --text "
        '"zinc-binding protease"'
    )


def print_estimate(setup: Setup, facts: Facts, remaining: Sequence[str]) -> None:
    """Prints the cost of the remaining steps. Raises UserError if the disk is too small."""
    size = extent_of(setup)
    processes = usable_cores([setup.source]) if setup.source.exists() else (os.cpu_count() or 1)
    costs = estimate.costs(size, model=facts, processes=processes)
    left = {name: costs[name] for name in remaining}
    print_status(*estimate.describe(size, left, speed=facts.speed))
    needed = estimate.needed_disk(list(left.values()), held=held_bytes(setup))
    estimate.refuse_small_disk(needed, setup.output)


if __name__ == "__main__":
    sys.exit(main())

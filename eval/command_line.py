"""The command line of `python -m eval`."""

import argparse
import pathlib
from collections.abc import Sequence

from eval.benchmarks.families import BENCHMARKS
from eval.pretraining.evaluation import Control
from eval.pretraining.evaluations import EVALUATIONS
from eval.public.protocols import PROTOCOLS
from protclip_jax.distributed.cpu_devices import MAX_CPU_DEVICES

ALL = ["all"]
"""Benchmarks that are measured if none is named."""

BUILT_ONLY = ("split", "pool", "max_existence", "hits")
"""Options that only evaluations on a built dataset read, besides those of `controls`."""
PUBLIC_ONLY = ("protocol", "pretrained_on", "cache", "configs", "set")
"""Options that only benchmarks on public data read."""


def controls() -> dict[str, Control]:
    """The controls that evaluations compare with, by their options."""
    known = [evaluation.control for evaluation in EVALUATIONS.values() if evaluation.control]
    return {control.option: control for control in known}


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line; argparse exits with code 2 on arguments it does not understand."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if not (options.checkpoint or options.embeddings or options.claims):
        parser.error("one of the arguments --checkpoint --embeddings is required")
    return options


def changed(options: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """Those of the named options that do not have their default."""
    parser = make_parser()
    return [name for name in names if getattr(options, name) != parser.get_default(name)]


def make_parser() -> argparse.ArgumentParser:
    """All options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m eval",
        epilog="Example: python -m eval --checkpoint runs/demo --benchmarks retrieval --pool 256",
        description="Evaluates a checkpoint and writes a report.",
    )
    subject = parser.add_mutually_exclusive_group()
    subject.add_argument(
        "--checkpoint",
        metavar="DIR",
        help="a workdir or converted checkpoint, also gs:// with --output",
    )
    subject.add_argument(
        "--embeddings",
        type=pathlib.Path,
        metavar="FILE",
        help="one vector for each protein from any program, as HDF5, Parquet or NPZ: measured on "
        "public data in the place of a "
        "checkpoint",
    )
    parser.add_argument(
        "--claims",
        action="store_true",
        help="measure nothing: check the claims of the paper's abstract against published "
        "numbers, and against the report of "
        "--checkpoint or --embeddings if given; --output keeps claims.md and claims.json",
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="measure how often hits of a search agree with held-out questions, and keep the "
        "table in the checkpoint, from "
        "which `search`, `serve` and new indexes take it; fitted on the split validation and "
        "checked on --split, with --pool "
        "questions of each; --output has the report (default: CHECKPOINT/calibration)",
    )
    parser.add_argument(
        "--step", help="a step's number, best or latest (default: best if recorded, else latest)"
    )
    parser.add_argument(
        "--benchmarks",
        nargs="+",
        default=ALL,
        metavar="NAME",
        help=f"all that the data allow (default), or any of {', '.join(EVALUATIONS)} on a built "
        "dataset, "
        f"{', '.join(BENCHMARKS)} on public data",
    )
    parser.add_argument(
        "--data_dir",
        type=pathlib.Path,
        metavar="DIR",
        help="a built dataset (default: the checkpoint's own), or a folder of public data as "
        "docs/benchmarks.md describes it",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        metavar="DIR",
        help="folder for the report (default: CHECKPOINT/eval, or FILE.eval)",
    )

    parser.add_argument(
        "--random_weights",
        action="store_true",
        help="also measure the same network with random weights, in retrieval and single_property "
        "and on public data",
    )

    parser.add_argument(
        "--cpu_devices",
        type=int,
        help=f"virtual CPU devices (default: one per core, at most {MAX_CPU_DEVICES}; one for "
        "--protocol fine_tuning)",
    )

    built = parser.add_argument_group("on a built dataset")
    built.add_argument("--split", default="test", help="split to evaluate on (default %(default)s)")
    built.add_argument(
        "--pool",
        type=int,
        default=256,
        help="records of distinct biotexts to evaluate on (default %(default)s)",
    )
    built.add_argument(
        "--max_existence",
        type=int,
        choices=range(1, 6),
        help="evaluate on records of existence 1 to this only (default: all)",
    )
    built.add_argument(
        "--hits",
        nargs="+",
        default=[],
        metavar="NAME=FILE",
        help="hits of held-out to training proteins, for baselines of annotation transfer; see "
        "docs/data.md",
    )
    built.add_argument(
        "--labels",
        nargs="+",
        type=pathlib.Path,
        default=[],
        metavar="FILE",
        help="with --calibrate: libraries whose ids records state, such as go.obo and enzyme.dat, "
        "for confidences of their labels",
    )
    for option, control in controls().items():
        built.add_argument(f"--{option}", metavar="DIR", help=control.help)

    public = parser.add_argument_group("on public data")
    public.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="probe",
        help="for benchmarks of single proteins (default %(default)s)",
    )
    public.add_argument(
        "--pretrained_on",
        type=pathlib.Path,
        metavar="DIR",
        help="the dataset that the checkpoint was trained on, to leave its proteins out (default: "
        "where the config says)",
    )
    public.add_argument(
        "--cache",
        type=pathlib.Path,
        metavar="DIR",
        help="folder for embeddings (default: CHECKPOINT/embeddings)",
    )
    public.add_argument(
        "--configs",
        type=pathlib.Path,
        default=pathlib.Path("configs/eval"),
        help="hyper-parameters (default %(default)s)",
    )
    public.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME.FIELD=VALUE",
        help="change some, such as probe.max_epochs=20",
    )
    return parser

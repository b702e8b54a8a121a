"""Trains and measures the models that docs/results.md announces, and prints the verdicts.

    python -m benchmarks.evidence --folder runs/evidence [--studies demo ordered sampling] \\
        [--seeds 11 12] [--linear_only]

Measurements are kept in --results, one small file per model, and are not repeated, so the command
can be stopped and restarted. Without --test it measures the validation splits of the tuning seeds,
by which recipes are chosen.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import jax

import protclip_train as train
from benchmarks.evidence import results
from benchmarks.evidence.plan import STUDIES, TUNING_SEEDS
from benchmarks.evidence.runs import LINEAR_CONFIG, measure_world
from data_pipelines.common.errors import UserError, command
from protclip_jax.config.config_file import load_config
from protclip_jax.distributed.cpu_devices import split_cpu

RESULTS = Path(__file__).parent / "results"


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evidence", description=__doc__.partition("\n\n")[0]
    )
    parser.add_argument("--folder", type=Path, required=True, help="folder for samples and runs")
    parser.add_argument(
        "--results", type=Path, help=f"folder for measurements (default with --test: {RESULTS})"
    )
    parser.add_argument(
        "--studies",
        nargs="+",
        choices=STUDIES,
        default=list(STUDIES),
        help="studies to run (default: all)",
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", help="seeds of samples and runs (default: all)"
    )
    parser.add_argument("--linear_only", action="store_true", help="train linear models only")
    parser.add_argument(
        "--test",
        action="store_true",
        help="measure the test splits of the seeds in docs/results.md",
    )
    options = parser.parse_args(arguments)

    announced = {
        name: STUDIES[name].seeds if options.test else TUNING_SEEDS for name in options.studies
    }
    seeds = {name: _chosen(options.seeds, each) for name, each in announced.items()}
    if foreign := set(options.seeds or ()).difference(*announced.values()):
        allowed = ", ".join(map(str, sorted(set().union(*announced.values()))))
        raise UserError(f"seed {min(foreign)} is not an announced seed; choose from {allowed}.")
    kept = options.results or (RESULTS if options.test else options.folder / "validation")
    # Before a linear model uses JAX, so that networks are trained on all cores.
    split_cpu(train.cpu_devices(load_config(Path(LINEAR_CONFIG))))
    # Runs of one recipe share their compiled programs.
    jax.config.update("jax_compilation_cache_dir", str(options.folder.absolute() / "compiled"))
    split = "test" if options.test else "validation"
    for name, of_study in seeds.items():
        for seed in of_study:
            measure_world(
                options.folder,
                kept,
                name,
                STUDIES[name],
                seed,
                split=split,
                networks=not options.linear_only,
            )
    if options.test:
        print(results.write(kept, options.folder))


def _chosen(seeds: Sequence[int] | None, announced: Sequence[int]) -> list[int]:
    """The requested seeds that are announced for a study; without a request, all of them."""
    return [seed for seed in seeds or announced if seed in announced]


if __name__ == "__main__":
    sys.exit(main())

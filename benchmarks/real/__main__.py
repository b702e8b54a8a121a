"""Trains a small model on real proteins, measures what docs/real.md announces, and prints verdicts.

    python -m benchmarks.real --data_dir REAL --folder F [--hits mmseqs2=hits.m8] [--form full] \\
        [--test FILE]

Finished training and measurements are kept and not repeated, so the command can be stopped and
restarted. docs/real.md describes REAL. With --prepare it only builds the dataset and writes the
FASTA files for a search.
"""

import argparse
import sys
from pathlib import Path

import jax

import protclip_train as train
from benchmarks.real import results
from benchmarks.real.datasets import outside_set, prepare, read_known, write_fasta
from benchmarks.real.kept import Run, outside_name
from benchmarks.real.plan import CONFIG, FORMS
from benchmarks.real.public import write_manifest
from benchmarks.real.runs import Inputs, measure_all
from benchmarks.real.training import Setting, find_text_tower
from data_pipelines.common.errors import command
from data_pipelines.common.progress import print_status
from data_pipelines.protanno.clusters import TEST, VALIDATION
from data_pipelines.protanno.dataset import open_dataset
from eval.pretraining.hit_files import hit_files
from protclip_jax.config.config_file import load_config
from protclip_jax.distributed.cpu_devices import split_cpu


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real", description=__doc__.partition("\n\n")[0]
    )
    parser.add_argument(
        "--data_dir",
        type=Path,
        required=True,
        help="folder of real proteins, as described in docs/real.md",
    )
    parser.add_argument(
        "--folder", type=Path, required=True, help="folder for datasets, runs and results"
    )
    parser.add_argument(
        "--form",
        choices=FORMS,
        default="thirty_minutes",
        help="amount of training (default %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the runs (default %(default)s)"
    )
    parser.add_argument(
        "--hits",
        nargs="+",
        default=[],
        metavar="NAME=FILE",
        help="hits of held-out proteins to training proteins, for baselines of annotation "
        "transfer; the first file also defines the bands",
    )
    parser.add_argument(
        "--test",
        type=Path,
        metavar="FILE",
        help="also measure an outside test set, JSON lines in the lab format",
    )
    parser.add_argument(
        "--validation_only", action="store_true", help="do not measure the test split"
    )
    parser.add_argument(
        "--prepare",
        action="store_true",
        help="only build the dataset and write FASTA files for a search",
    )
    return parser.parse_args(arguments)


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the command line."""
    options = parse_arguments(arguments)
    hits = hit_files(options.hits)
    # Each dataset with its own bands has its own folder, so that results are not mixed up.
    folder = options.folder.absolute() / ("searched" if hits else "unsearched")
    folder.mkdir(parents=True, exist_ok=True)
    dataset = prepare(options.data_dir, folder, next(iter(hits.values()), None))
    if options.prepare:
        prepare_search(dataset, folder, options.test)
        found = write_manifest(options.data_dir / "bench", folder / "public")
        print_status(
            f"pass {folder / 'public'} to `python -m eval` as --data_dir; it has "
            f"{', '.join(found) or 'no benchmark'}."
        )
        return
    form = FORMS[options.form]
    text_tower = find_text_tower(form, options.folder.absolute())
    setting = Setting(form, options.form, options.seed, folder, dataset, text_tower)
    # Before a baseline uses JAX, so that models are trained on all cores.
    split_cpu(train.cpu_devices(load_config(Path(CONFIG), f"contrast{form.suffix}")))
    # Runs of one recipe share their compiled programs.
    jax.config.update("jax_compilation_cache_dir", str(folder / "compiled"))
    run = Run(folder / "results", options.form, options.seed)
    splits = [VALIDATION] if options.validation_only else [VALIDATION, TEST]
    inputs = Inputs(read_known(options.data_dir), hits, options.data_dir / "bench", options.test)
    measure_all(setting, run, inputs, splits)
    outside = [outside_name(options.test)] if options.test else []
    print(results.write(run, folder, [*splits, *outside]))


def prepare_search(dataset: Path, folder: Path, test: Path | None) -> None:
    """Writes the FASTA files and prints how to search."""
    opened = open_dataset(dataset)
    outside = outside_set(test, folder / outside_name(test), opened, None) if test else None
    written = write_fasta(dataset, folder / outside_name(test) if test else folder, outside)
    print_status(
        f"search {written / 'held_out.fasta'} in {written / 'training.fasta'} as described in "
        "docs/data.md, then pass the hits as --hits."
    )


if __name__ == "__main__":
    sys.exit(main())

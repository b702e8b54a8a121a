"""Fine-tunes a small random ESM-2 on β-lactamase and stability, to check that the protocol learns.

    python -m benchmarks.fine_tuning --data_dir DIR --folder runs/fine_tuning

DIR has `beta_lactamase/P62593.fasta.gz` (from ESM's examples) and TAPE's
`stability/tape_stability.{train,valid}.csv.gz`. The network is compared with itself on shuffled
labels, which must not correlate, and with the k-mer ridge, which may well win, because nothing is
pretrained here. A second run reuses the results of a stopped one in FOLDER.
"""

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import jax

from configs.eval import fine_tuning as fine_tuning_config
from configs.eval import probe as probe_config
from data_pipelines.common.errors import command
from data_pipelines.common.hashing import hash64
from data_pipelines.common.json_object import to_json
from data_pipelines.common.markdown import interval, number, table
from eval.benchmarks.mutation_effect import judge_of
from eval.data.base.task import Task
from eval.data.importers.tables import read_tables
from eval.data.importers.variants import read_variant_fasta
from eval.protocols import supervised
from eval.protocols.fine_tuning import FineTuning
from eval.protocols.ridge import Ridge
from eval.protocols.supervised import ShuffledLabels, composition_probe
from protclip_jax.checkpoints import metadata
from protclip_jax.checkpoints.parameters import save_params
from protclip_jax.config.build import model_config
from protclip_jax.convert.checkpoint import converted_config
from protclip_jax.models.protclip import ProtCLIPModel

ESM2 = {
    "num_layers": 2,
    "hidden_size": 64,
    "num_heads": 4,
    "intermediate_size": 256,
    "initializer_range": 0.125,
}
"""Narrow layers need larger initial weights than ESM-2's 0.02."""


def beta_lactamase(data: Path, rows: int | None) -> Task:
    """The single substitutions of `P62593.fasta`; the protocol splits them."""
    return thinned(
        read_variant_fasta(data / "beta_lactamase/P62593.fasta.gz", benchmark="beta_lactamase"),
        rows,
    )


def stability(data: Path, rows: int | None) -> Task:
    """TAPE's training and validation files; the test split is taken from training."""
    files = {
        split: [data / f"stability/tape_stability.{split}.csv.gz"] for split in ("train", "valid")
    }
    return thinned(read_tables(files, benchmark="stability"), rows)


TASKS = {"beta_lactamase": beta_lactamase, "stability": stability}


def thinned(task: Task, rows: int | None) -> Task:
    """Keeps at most `rows` rows per split, those whose sequences have the lowest hashes."""
    splits = {}
    for name, own in task.splits.items():
        splits[name] = sorted(own, key=lambda sample: hash64(sample.sequence))[:rows]
    return dataclasses.replace(task, splits=splits)


def random_esm2(folder: Path) -> Path:
    """Creates a checkpoint of a protein tower with random weights."""
    if not (folder / "config.json").exists():
        config = converted_config(ESM2, None)
        model = ProtCLIPModel(model_config(config, text_vocab_size=0))
        ones, encode = jax.numpy.ones((1, 4), int), ProtCLIPModel.encode_protein
        params = model.init(jax.random.key(0), ones, ones, ones, 1, method=encode)["params"]
        save_params(folder, params)
        metadata.write_metadata(folder, config, None)
    return folder


def config_for(options: argparse.Namespace):
    """The default protocol with rates for a randomly initialized tower, and rows that fit a CPU."""
    config = fine_tuning_config.get_config()
    config.update(
        seeds=(0,),
        max_epochs=options.epochs,
        patience=options.epochs,
        dtype="float32",
        remat="none",
    )
    config.standardise = options.standardise
    # Rows are as long as β-lactamase, because attention between proteins that share a row is
    # computed and discarded.
    config.batch.update(records=32, rows=16, slots=7, protein_tokens=290)
    groups = ("rotary_inv_freq", "frozen"), ("^protein/", options.tower_multiplier), (".", 1.0)
    config.optimizer.update(
        learning_rate=options.learning_rate, warmup_fraction=0.1, clip_norm=1.0, groups=groups
    )
    return config


def result(name: str, options: argparse.Namespace) -> dict:
    """Fine-tunes on one task; returns the metrics of the network and its controls."""
    task = TASKS[name](options.data_dir, options.rows)
    config = config_for(options)
    tuned = FineTuning(random_esm2(options.folder / "esm2"), config, options.folder / "states")
    beside = [ShuffledLabels(tuned), Ridge(), composition_probe(probe_config.get_config())]
    start = time.perf_counter()
    measured = supervised.run(
        task, tuned, judge=judge_of(task), splits=config.splits.to_dict(), controls=beside
    )
    return measured | {
        "seconds_of_this_call": time.perf_counter() - start,
        "cores": len(os.sched_getaffinity(0)),
    }


def rows(name: str, measured: Mapping) -> list[list[str]]:
    """Formats a row per protocol."""
    sizes = " / ".join(str(measured["sizes"][split]) for split in ("train", "valid", "test"))
    lines = []
    for of_protocol in (measured, *measured["controls"]):
        score = of_protocol["metrics"]["spearman"]
        value = f"{number(score['mean'])} {interval(score['interval'])}"
        lines.append(
            [
                name,
                sizes,
                of_protocol["protocol"],
                value,
                str(of_protocol["facts"].get("best_epoch", "")),
            ]
        )
    return lines


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data_dir", type=Path, required=True, metavar="DIR", help="folder of the files"
    )
    parser.add_argument(
        "--folder", type=Path, required=True, metavar="DIR", help="folder for states and results"
    )
    parser.add_argument(
        "--tasks",
        nargs="+",
        choices=TASKS,
        default=list(TASKS),
        help="tasks to run (default: both)",
    )
    parser.add_argument("--rows", type=int, help="maximum rows per split (default: all)")
    parser.add_argument(
        "--epochs", type=int, default=30, help="maximum epochs (default: %(default)s)"
    )
    parser.add_argument(
        "--learning_rate", type=float, default=2e-3, help="learning rate (default: %(default)s)"
    )
    parser.add_argument(
        "--tower_multiplier",
        type=float,
        default=1.0,
        help="factor for the tower's learning rate (default: %(default)s)",
    )
    parser.add_argument(
        "--standardise",
        action="store_true",
        help="standardise the tower's means, as in the frozen probe",
    )
    options = parser.parse_args(arguments)

    results = {name: result(name, options) for name in options.tasks}
    (options.folder / f"{'_'.join(results)}.json").write_text(
        json.dumps(to_json(results), indent=2) + "\n", encoding="utf-8"
    )
    lines = []
    for name, measured in results.items():
        lines += rows(name, measured)
    sizes = "train / valid / test rows"
    print(table(["task", sizes, "protocol", "Spearman [95 %]", "best epoch"], lines))
    print()
    for name, measured in results.items():
        low, _ = measured["metrics"]["spearman"]["interval"]
        _, high = measured["controls"][0]["metrics"]["spearman"]["interval"]
        above = "above" if low > high else "not above"
        print(
            f"{name}: the interval is {above} that of shuffled labels; "
            f"{measured['seconds_of_this_call']:.0f} s in this call."
        )


if __name__ == "__main__":
    raise SystemExit(main())

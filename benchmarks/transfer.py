"""Evaluates annotation transfer and the trained linear model on a built dataset, without weights.

    python -m benchmarks.transfer --data_dir protanno --hits mmseqs2=hits.m8 --output report.md

The linear model takes the network's place, so the tables of `retrieval` and `single_property` show
what a network has to beat.
"""

import argparse
from pathlib import Path

from data_pipelines.protanno.dataset import open_dataset
from eval.pretraining.hit_files import hit_files
from eval.pretraining.retrieval import Retrieval
from eval.pretraining.single_property import SingleProperty
from eval.pretraining.trained_baselines import TrainedBaselines
from protclip_jax.config.schema import completed

POOLS = {Retrieval: 512, SingleProperty: 2000}


def main() -> None:
    """Evaluates each split in turn and writes the results so far."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--data_dir", required=True, type=Path, help="a built dataset")
    parser.add_argument(
        "--hits", nargs="+", default=[], metavar="NAME=FILE", help="search hits for transfer"
    )
    parser.add_argument(
        "--splits",
        nargs="+",
        default=["test", "random_test"],
        help="splits to evaluate (default: test random_test)",
    )
    parser.add_argument("--output", required=True, type=Path, help="Markdown file to write")
    options = parser.parse_args()
    dataset = open_dataset(options.data_dir)
    baselines = TrainedBaselines(dataset, completed({}), hit_files(options.hits))
    sections = ["# Baselines; *ProtCLIP* in the tables is the linear model"]
    for split in options.splits:
        for evaluation, pool in POOLS.items():
            measured = evaluation(dataset, split=split, pool=pool)
            result = measured.report(baselines.linear.model, control=None, baselines=baselines)
            sections.append(evaluation.markdown(result))
            options.output.write_text("\n\n".join(sections) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

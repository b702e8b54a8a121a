"""The training records of a dataset, and datasets with fewer of them."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from data_pipelines.common.hashing import hash64
from data_pipelines.common.outputs import new_folder
from data_pipelines.protanno import dataset as protanno
from data_pipelines.protanno.clusters import HELD_OUT
from data_pipelines.protanno.dataset import ProtAnno, Split, open_dataset
from data_pipelines.protanno.nearest import FILE as NEAREST
from data_pipelines.protanno.record import Record, property_texts


def records(splits: Iterable[Split]) -> Iterator[Record]:
    """Yields the records of several splits, without features."""
    for split in splits:
        yield from split.without_features()


def training(dataset: ProtAnno) -> list[Split]:
    """The splits used for training."""
    return [split for name, split in sorted(dataset.splits.items()) if name not in HELD_OUT]


def smaller(source: Path, count: int, output: Path) -> Path:
    """Reduces the dataset to `count` training records with text; bands are kept.

    The records are those whose accessions have the lowest hashes.
    """
    if output.exists():
        return output
    dataset = open_dataset(source)
    names = [record.accession for record in records(training(dataset)) if property_texts(record)]
    kept = frozenset(sorted(names, key=hash64)[:count])
    splits = {}
    for name, split in dataset.splits.items():
        of_split = list(split)
        splits[name] = (
            of_split if name in HELD_OUT else [one for one in of_split if one.accession in kept]
        )
    with new_folder(output) as directory:
        protanno.write(
            directory, splits, statistics=dataset.statistics | {"training_records_kept": count}
        )
        if (source / NEAREST).exists():
            shutil.copy(source / NEAREST, directory / NEAREST)
    return output

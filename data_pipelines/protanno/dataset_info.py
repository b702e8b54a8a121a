"""Reads a dataset's metadata files without trusting their content.

TFDS itself is avoided: it would import the modules that `features.json` names, and open the files
that a template names.
"""

import re
import reprlib
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json
from data_pipelines.protanno.clusters import CLUSTERS

STATISTICS = "statistics.json"
_INFO = "dataset_info.json"
_SPLIT = re.compile(r"\w{1,100}", re.ASCII)
_MAX_NUMBER, _MAX_SHARDS = 1 << 48, 1 << 20


class SplitInfo(NamedTuple):
    """Record counts of a split's files, and the total bytes of all examples."""

    lengths: list[int]
    bytes: int


def read_version(directory: Path) -> str:
    """Reads the version of the dataset's features, such as `1.1.0`.

    Raises:
      UserError: `dataset_info.json` is missing or damaged.
    """
    return str(read_json(directory / _INFO).get("version"))


def read_splits(directory: Path) -> dict[str, SplitInfo]:
    """Reads the splits listed in `dataset_info.json`, by name.

    Raises:
      UserError: the file is missing or damaged.
    """
    path = directory / _INFO
    listed = read_json(path).get("splits")
    try:
        splits = {split["name"]: _split_info(split) for split in listed}
        shards = sum(len(split.lengths) for split in splits.values())
        damaged = shards > _MAX_SHARDS or not all(map(_is_split, splits.items()))
    except (TypeError, KeyError, ValueError):
        damaged = True
    if damaged:
        raise UserError(
            f"{path} is damaged: {reprlib.repr(listed)} is not a list of splits and their files; "
            "copy it again."
        )
    return splits


def _split_info(split: dict) -> SplitInfo:
    return SplitInfo(_numbers(split["shardLengths"]), *_numbers([split["numBytes"]]))


def _is_split(item: tuple[str, SplitInfo]) -> bool:
    name, split = item
    return bool(_SPLIT.fullmatch(name) and split.lengths)


def read_statistics(directory: Path) -> dict:
    """Reads `statistics.json`; checks that `records` is a number and `clusters` has known names.

    Raises:
      UserError: the file is missing or damaged.
    """
    path = directory / STATISTICS
    statistics = read_json(path)
    records, clusters = statistics.get("records", 0), statistics.get("clusters", {})
    if (
        type(records) is not int
        or not isinstance(clusters, dict)
        or not clusters.keys() <= set(CLUSTERS)
    ):
        raise UserError(f"{path} is damaged: its records or clusters are not valid; copy it again.")
    return statistics


def _numbers(texts: list) -> list[int]:
    """Parses integers, which protocol-buffer JSON writes as strings; ValueError for others."""
    numbers = [int(text) for text in texts if isinstance(text, str) and len(text) < 20]
    if len(numbers) != len(texts) or not all(0 <= number <= _MAX_NUMBER for number in numbers):
        raise ValueError(texts)
    return numbers

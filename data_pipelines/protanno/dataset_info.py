"""What a dataset's own files say of it, read so that nothing in a stranger's folder is taken on
trust.

TFDS is not asked: it would import the modules that `features.json` names, and look for the files
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
    """The records of each of a split's files, and the bytes of all examples."""

    lengths: list[int]
    bytes: int


def read_version(directory: Path) -> str:
    """The version of the dataset's features, such as `1.1.0`.

    Raises:
      UserError: `dataset_info.json` is missing or damaged.
    """
    return str(read_json(directory / _INFO).get("version"))


def read_splits(directory: Path) -> dict[str, SplitInfo]:
    """The splits that `dataset_info.json` lists, by their names, which are words.

    Raises:
      UserError: the file is missing or damaged.
    """
    path = directory / _INFO
    listed = read_json(path).get("splits")
    try:
        splits = {
            split["name"]: SplitInfo(
                _numbers(split["shardLengths"]), *_numbers([split["numBytes"]])
            )
            for split in listed
        }
        damaged = not all(
            _SPLIT.fullmatch(name) and split.lengths for name, split in splits.items()
        )
    except (TypeError, KeyError, ValueError):
        damaged = True
    if damaged or sum(len(split.lengths) for split in splits.values()) > _MAX_SHARDS:
        raise UserError(
            f"{path} is damaged: {reprlib.repr(listed)} is no list of splits with their "
            "files; copy it again."
        )
    return splits


def read_statistics(directory: Path) -> dict:
    """`statistics.json`; if it tells of them, `records` are a number and `clusters` have known
    names.

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
        raise UserError(
            f"{path} is damaged: what it has for records or clusters are none; copy it again."
        )
    return statistics


def _numbers(texts: list) -> list[int]:
    """Integers, which JSON of protocol buffers writes as texts; raises ValueError for others."""
    numbers = [int(text) for text in texts if isinstance(text, str) and len(text) < 20]
    if len(numbers) != len(texts) or not all(0 <= number <= _MAX_NUMBER for number in numbers):
        raise ValueError(texts)
    return numbers

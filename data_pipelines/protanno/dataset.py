"""The ProtAnno dataset on disk: TFDS `array_record` files, written and read without TensorFlow.

Its examples are tf.train.Example messages, as TFDS defines them for `tfds_features`, so
`tfds.builder_from_directory(DIR)` opens it like any other dataset. Records are packed and unpacked
here with the message classes alone: TFDS's general path takes over a millisecond per record.

Damaged data raise an error instead of being read. `shard_sizes.json` has the size of every file,
which is checked on opening; that finds missing or truncated files and files of another build.
`array_record` stores a hash of every record and of each file's index, which is checked on reading;
that finds any flipped bit in them, when the damaged record is drawn.
"""

import bisect
import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from array_record.python import array_record_module
from array_record.python.array_record_data_source import ArrayRecordDataSource
from google.protobuf.message import DecodeError
from tensorflow_datasets.proto import tf_example_pb2

from data_pipelines.common.bucket import is_bucket
from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json
from data_pipelines.protanno.bucket_dataset import BucketDataset, copy_files
from data_pipelines.protanno.clusters import split_name
from data_pipelines.protanno.dataset_info import (
    STATISTICS,
    read_splits,
    read_statistics,
    read_version,
)
from data_pipelines.protanno.nearest import FILE as NEAREST
from data_pipelines.protanno.nearest import Nearest, load_nearest
from data_pipelines.protanno.questions import FILE as QUESTIONS
from data_pipelines.protanno.questions import SAID_FILE, Questions, load_questions
from data_pipelines.protanno.record import RECOMMENDED, Feature, Record, with_names

__all__ = ["ProtAnno", "Split", "open_dataset", "split_name", "write"]

NAME, VERSION = "protanno", "1.3.0"
"""Since 1.3.0 records have `organism`, `taxon`, `genes` and `go`; older datasets lack them.

Since 1.2.0 a record may lack a name or any other text, and its source may be unknown.
"""
_WITHOUT_NAMES = "1.0.0"
"""The version that stored only a record's recommended name."""
SHARD_SIZES = "shard_sizes.json"

SHARD_RECORDS, SHARD_BYTES = 1 << 17, 1 << 28
"""Maximum records and approximate maximum bytes per file; a split's files have equal lengths."""

_DESCRIBING = ("dataset_info.json", STATISTICS, SHARD_SIZES, QUESTIONS, SAID_FILE, NEAREST)
"""The small files that are read when a dataset is opened."""

_FIX = "build one with `python -m data_pipelines.build`"

_TEXTS = (
    "accession",
    "entry_name",
    "source",
    "sequence",
    "name",
    "function",
    "location",
    "similarity",
)
_LISTS = ("other_names", "genes", "go")


def tfds_features() -> tfds.features.FeaturesDict:
    """Returns the TFDS features of a record."""
    text, number = tfds.features.Text, lambda: tfds.features.Scalar(np.int32)
    feature = {"type": text(), "start": number(), "end": number(), "note": text()}
    features = {name: text() for name in (*_TEXTS, "organism")}
    features |= {name: number() for name in ("existence", "taxon")}
    features |= {name: tfds.features.Sequence(text()) for name in _LISTS}
    features["features"] = tfds.features.Sequence(feature)
    return tfds.features.FeaturesDict(features)


def encode_record(record: Record) -> bytes:
    """Encodes a record as the tf.train.Example that `tfds_features` describes."""
    example = tf_example_pb2.Example()
    fields = example.features.feature
    for name in (*_TEXTS, "organism"):
        fields[name].bytes_list.value.append(getattr(record, name).encode())
    for name in ("existence", "taxon"):
        fields[name].int64_list.value.append(getattr(record, name))
    for name in _LISTS:
        fields[name].bytes_list.value.extend(text.encode() for text in getattr(record, name))
    fields["features/type"].bytes_list.value.extend(
        feature.type.encode() for feature in record.features
    )
    fields["features/start"].int64_list.value.extend(feature.start for feature in record.features)
    fields["features/end"].int64_list.value.extend(feature.end for feature in record.features)
    fields["features/note"].bytes_list.value.extend(
        feature.note.encode() for feature in record.features
    )
    return example.SerializeToString(deterministic=True)


def decode_record(data: bytes) -> Record:
    """The inverse of `encode_record`."""
    fields = _fields(data)
    types = map(bytes.decode, fields["features/type"].bytes_list.value)
    notes = map(bytes.decode, fields["features/note"].bytes_list.value)
    starts, ends = (fields[f"features/{name}"].int64_list.value for name in ("start", "end"))
    return _record(fields, tuple(map(Feature, types, starts, ends, notes)))


def decode_without_features(data: bytes) -> Record:
    """Decodes a record without its features, which take most of the time (dozens in Swiss-Prot)."""
    return _record(_fields(data), ())


def _fields(data: bytes) -> Mapping:
    return tf_example_pb2.Example.FromString(data).features.feature


def _record(fields: Mapping, features: tuple[Feature, ...]) -> Record:
    texts = {name: fields[name].bytes_list.value[0].decode() for name in _TEXTS}
    lists = {name: tuple(map(bytes.decode, fields[name].bytes_list.value)) for name in _LISTS}
    existence = fields["existence"].int64_list.value[0]
    # Datasets older than 1.3.0 have neither.
    organism = b"".join(fields["organism"].bytes_list.value).decode()
    taxon = sum(fields["taxon"].int64_list.value)
    return Record(
        existence=existence, features=features, organism=organism, taxon=taxon, **texts, **lists
    )


class Shards(NamedTuple):
    """The files of a split: their record counts and the total bytes of all examples."""

    lengths: list[int]
    bytes: int


def plan_shards(records: int, size: int) -> Shards:
    """Plans the files of a split with `records` records and `size` bytes in total."""
    count = max(-(-records // SHARD_RECORDS), -(-size // SHARD_BYTES))
    edges = [records * shard // count for shard in range(count + 1)]
    lengths = [stop - start for start, stop in itertools.pairwise(edges)]
    return Shards(lengths, size)


def shard_path(directory: Path, split: str, *, shard: int, shards: int) -> Path:
    """Returns the path of one of a split's files."""
    return Path(
        _file_names(directory, split).sharded_filepath(shard_index=shard, num_shards=shards)
    )


def write(directory: Path, splits: Mapping[str, Sequence[Record]], *, statistics: Mapping) -> None:
    """Writes in-memory records as a dataset into an existing folder; empty splits are left out."""
    shards = {
        name: _write_split(directory, name, records) for name, records in splits.items() if records
    }
    write_metadata(directory, shards)
    write_statistics(directory, statistics)


def _write_split(directory: Path, name: str, records: Sequence[Record]) -> Shards:
    encoded = [encode_record(record) for record in records]
    shards = plan_shards(len(encoded), sum(map(len, encoded)))
    rest = iter(encoded)
    for shard, length in enumerate(shards.lengths):
        path = shard_path(directory, name, shard=shard, shards=len(shards.lengths))
        write_shard(path, itertools.islice(rest, length))
    return shards


def write_shard(path: Path, encoded: Iterable[bytes]) -> None:
    """Writes one file of encoded records, in the given order.

    Raises:
      OSError: the file cannot be written.
    """
    try:
        # One record per chunk, so that a random access unpacks only that record.
        writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
        for data in encoded:
            writer.write(data)
        writer.close()
    except RuntimeError as error:
        raise OSError(f"{path.name}: {error}") from error


def write_statistics(directory: Path, statistics: Mapping) -> None:
    """Writes `statistics.json`, which every dataset folder needs."""
    (directory / STATISTICS).write_text(
        json.dumps(statistics, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def write_metadata(directory: Path, shards: Mapping[str, Shards]) -> None:
    """Writes `dataset_info.json` and `features.json`, which make a folder of files a TFDS dataset.

    Also writes `shard_sizes.json` with the size of each file in bytes.
    """
    identity = tfds.core.dataset_info.DatasetIdentity(
        name=NAME,
        version=tfds.core.Version(VERSION),
        data_dir=str(directory),
        module_name=__package__,
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        description="Protein sequences and what UniProt says about them, "
        "one split per (source, confidence, coverage).",
        features=tfds_features(),
        disable_shuffling=True,
    )
    info.set_file_format(tfds.core.FileFormat.ARRAY_RECORD)
    info.set_splits(
        tfds.core.splits.SplitDict(
            tfds.core.SplitInfo(
                name=name,
                shard_lengths=lengths,
                num_bytes=size,
                filename_template=_file_names(directory, name),
            )
            for name, (lengths, size) in shards.items()
        )
    )
    info.write_to_directory(directory)
    sizes: dict[str, int] = {}
    for name, planned in shards.items():
        count = len(planned.lengths)
        paths = [shard_path(directory, name, shard=i, shards=count) for i in range(count)]
        sizes |= {path.name: path.stat().st_size for path in paths}
    (directory / SHARD_SIZES).write_text(json.dumps(sizes, indent=2) + "\n", encoding="utf-8")


def _file_names(directory: Path, split: str) -> tfds.core.ShardedFileTemplate:
    return tfds.core.ShardedFileTemplate(
        data_dir=directory,
        dataset_name=NAME,
        split=split,
        filetype_suffix=tfds.core.FileFormat.ARRAY_RECORD.file_suffix,
    )


class Shard(NamedTuple):
    """A file and the range of its records to read, in the form `array_record` expects."""

    filename: str
    skip: int
    take: int
    examples_in_shard: int

    @classmethod
    def whole(cls, filename: str, length: int) -> "Shard":
        """All records of a file."""
        return cls(filename, 0, length, length)


class EncodedRecords(Sequence[bytes]):
    """The encoded records of a split's files, concatenated."""

    def __init__(self, shards: Sequence[Shard], *, fetch: Callable[[], None] | None = None):
        """`fetch` downloads the files before the first read."""
        self._fetch = fetch
        self._files = [shard.filename for shard in shards]
        self._ends = list(itertools.accumulate(shard.take for shard in shards))
        self._data = ArrayRecordDataSource(list(shards))

    def __len__(self) -> int:
        return len(self._data)

    def fetch(self) -> None:
        """Downloads the files now, unless that is already done."""
        if self._fetch is not None:
            self._fetch()
            self._fetch = None

    def __getitem__(self, index: int) -> bytes:
        self.fetch()
        try:
            return self._data[index]
        except RuntimeError as error:
            file = self._files[bisect.bisect_right(self._ends, index)]
            reason = str(error).partition("\n")[0]
            raise UserError(
                f"the dataset's file {file} is damaged or missing ({reason}); copy it again or "
                f"{_FIX}."
            ) from error


class Split(Sequence[Record]):
    """The records of a split, by index. Picklable; opens files at the first read.

    Reading a damaged file raises `UserError`.
    """

    def __init__(
        self,
        data: Sequence[bytes],
        decode: Callable[[bytes], Record] = decode_record,
        *,
        names: str = RECOMMENDED,
    ):
        """`data` has encoded records, `decode` decodes one; `names` is as in `with_names`."""
        self._data = data
        self._decode = decode
        self._names = names

    def fetch(self) -> None:
        """Copies a bucket dataset's files to this machine now, not at the first read."""
        if isinstance(self._data, EncodedRecords):
            self._data.fetch()

    def without_features(self) -> "Split":
        """Returns the same records with empty `features`, which read several times faster."""
        return Split(self._data, decode_without_features, names=self._names)

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Record:
        data = self._data[range(len(self._data))[index]]
        try:
            return with_names(self._decode(data), self._names)
        except (DecodeError, IndexError, UnicodeDecodeError) as error:
            raise UserError(
                f"record {index} of the dataset is malformed "
                f"({error or type(error).__name__}); {_FIX}."
            ) from error


class MissingSplit(UserError):
    """The dataset has no records in a split."""


class Splits(dict[str, Split]):
    """Maps split names to records; a missing name raises MissingSplit."""

    def __missing__(self, name: str):
        raise MissingSplit(
            f"the dataset has no records in split {name}, only in {', '.join(self)}; build it with "
            "more entries."
        )


class ProtAnno(NamedTuple):
    """An open dataset: the content of `statistics.json` and the splits that have records.

    The `fingerprint` is a digest of the statistics, which include the digests of the inputs, and of
    each split's size. Copies of a dataset have the same fingerprint, other datasets another one.

    Compare texts by their `text_key`: the text itself, unless a model's tokenizer replaces it.
    `questions` about single properties are empty if the dataset was built without them. `said`
    lists who answers them according to the proteins' own texts, for cases the question file leaves
    open. `directory` is None for a dataset in memory.
    """

    statistics: dict
    splits: Splits
    fingerprint: str
    text_key: Callable[[str], Hashable] = str
    questions: Questions = MappingProxyType({})
    said: Questions = MappingProxyType({})
    directory: Path | None = None

    def nearest(self) -> Mapping[str, Nearest]:
        """Maps held-out accessions to their similarity to training; empty if the build lacks it.

        Raises:
          UserError: the dataset's file is damaged.
        """
        return load_nearest(self.directory) if self.directory else MappingProxyType({})

    def train_size(self, cluster: str) -> int:
        """Counts the training records of a cluster such as `swissprot/C1/R4`."""
        return len(self.splits.get(split_name(cluster), ()))


def open_dataset(directory: str | Path, *, names: str = RECOMMENDED) -> ProtAnno:
    """Opens a dataset built by `data_pipelines.build`; bucket (`gs://`) files are copied when read.

    Args:
      names: the names that records show, as in `with_names`.

    Raises:
      UserError: the folder is missing, is not a ProtAnno dataset, lacks files or parts of files, or
        lacks the requested names.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> record = Record("P1", "", "swissprot", "MKV", existence=1, name="Widgetase")
        >>> write(folder, {"swissprot_c1_r1": [record]}, statistics={"records": 1})
        >>> dataset = open_dataset(folder)
        >>> dataset.splits["swissprot_c1_r1"][0].name
        'Widgetase'
    """
    remote = BucketDataset(str(directory), _DESCRIBING) if is_bucket(directory) else None
    where, directory = str(directory), remote.folder if remote else Path(directory)
    if not directory.is_dir():
        raise UserError(f"the dataset folder {directory} does not exist; {_FIX}.")
    try:
        version, statistics = read_version(directory), read_statistics(directory)
        listed = read_splits(directory)
        sizes = read_json(directory / SHARD_SIZES)
    except UserError as error:
        raise UserError(
            f"{where} is not a ProtAnno dataset ({str(error).rstrip('.')}); {_FIX}."
        ) from error
    if names != RECOMMENDED and version == _WITHOUT_NAMES:
        raise UserError(
            f"{where} has recommended names only, but tokenizer.names={names} needs all names; "
            "rebuild it with `python -m data_pipelines.build`, or train with "
            "tokenizer.names=recommended."
        )
    splits = Splits()
    for name, split in listed.items():
        count = len(split.lengths)
        paths = [shard_path(directory, name, shard=shard, shards=count) for shard in range(count)]
        for path in paths:
            check_listed(path, remote, sizes) if remote else check_size(path, sizes)
        fetch = functools.partial(copy_files, remote.url, paths, sizes) if remote else None
        shards = list(map(Shard.whole, map(str, paths), split.lengths))
        splits[name] = Split(EncodedRecords(shards, fetch=fetch), names=names)
    lengths = {name: (split.bytes, split.lengths) for name, split in sorted(listed.items())}
    text = (directory / STATISTICS).read_text(encoding="utf-8")
    fingerprint = hashlib.sha256(f"{text}{json.dumps(lengths)}".encode()).hexdigest()
    questions, said = load_questions(directory), load_questions(directory, SAID_FILE)
    return ProtAnno(
        statistics, splits, fingerprint, questions=questions, said=said, directory=directory
    )


def check_listed(path: Path, remote: BucketDataset, sizes: Mapping[str, int]) -> None:
    """Raises UserError if a file is missing in the bucket or differs from its recorded size."""
    size, wanted = remote.sizes.get(path.name), sizes.get(path.name)
    if size is None or size != wanted:
        found = "is missing" if size is None else f"has {size} bytes, not {wanted}"
        raise UserError(
            f"the dataset's file {remote.url}/{path.name} {found}; copy it there again or {_FIX}."
        )


def check_size(path: Path, sizes: Mapping[str, int]) -> None:
    """Raises UserError if a file is missing or differs from its recorded size."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UserError(
            f"the dataset {path.parent} lacks {path} ({error.strerror}); copy it again or {_FIX}."
        ) from error
    if size != sizes.get(path.name):
        raise UserError(
            f"the dataset's file {path} has {size} bytes, not {sizes.get(path.name)}; "
            f"copy it again or {_FIX}."
        )

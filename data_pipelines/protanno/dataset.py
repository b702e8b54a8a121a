"""The ProtAnno dataset on disk: a TFDS dataset of `array_record` files, written and read without
TensorFlow.

Its examples are tf.train.Example messages, as TFDS defines them for `FEATURES`;
`tfds.builder_from_directory(DIR)` opens it like any other. Records are packed and unpacked here
with the message classes alone, as TFDS' own general path takes over a millisecond for each record.

Damage is told, never read: `shard_sizes.json` has the size of every file, which opening compares (a
missing or truncated file, or one of another build), and `array_record` keeps a hash of every record
and of the index of each file, which reading compares (a flipped bit anywhere in them). A damaged
record is found when it is drawn.
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
"""Since 1.3.0 a record has `organism`, `taxon`, `genes` and `go`, which are unknown in older
datasets.

Since 1.2.0 a record may lack a name and any other text, and its source may be unknown."""
_WITHOUT_NAMES = "1.0.0"
"""The version that stored a record's recommended name alone."""
SHARD_SIZES = "shard_sizes.json"

SHARD_RECORDS, SHARD_BYTES = 1 << 17, 1 << 28
"""Most records of a file, and about most bytes: a split's files hold the same number of records."""

_DESCRIBING = ("dataset_info.json", STATISTICS, SHARD_SIZES, QUESTIONS, SAID_FILE, NEAREST)
"""The small files, which are read when a dataset is opened."""

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
    """The TFDS features of a record."""
    text, number = tfds.features.Text, lambda: tfds.features.Scalar(np.int32)
    feature = {"type": text(), "start": number(), "end": number(), "note": text()}
    return tfds.features.FeaturesDict(
        {name: text() for name in (*_TEXTS, "organism")}
        | {name: number() for name in ("existence", "taxon")}
        | {name: tfds.features.Sequence(text()) for name in _LISTS}
        | {"features": tfds.features.Sequence(feature)}
    )


def encode_record(record: Record) -> bytes:
    """A record as the tf.train.Example that `tfds_features` describes."""
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
    types, notes = (
        [text.decode() for text in fields[f"features/{name}"].bytes_list.value]
        for name in ("type", "note")
    )
    starts, ends = (fields[f"features/{name}"].int64_list.value for name in ("start", "end"))
    return _record(fields, tuple(map(Feature, types, starts, ends, notes)))


def decode_without_features(data: bytes) -> Record:
    """The record without its features, which take most of the time: Swiss-Prot entries hold
    dozens."""
    return _record(_fields(data), ())


def _fields(data: bytes) -> Mapping:
    return tf_example_pb2.Example.FromString(data).features.feature


def _record(fields: Mapping, features: tuple[Feature, ...]) -> Record:
    texts = {name: fields[name].bytes_list.value[0].decode() for name in _TEXTS}
    lists = {name: tuple(map(bytes.decode, fields[name].bytes_list.value)) for name in _LISTS}
    existence = fields["existence"].int64_list.value[0]
    # Datasets of before 1.3.0 have neither.
    organism = b"".join(fields["organism"].bytes_list.value).decode()
    taxon = sum(fields["taxon"].int64_list.value)
    return Record(
        existence=existence, features=features, organism=organism, taxon=taxon, **texts, **lists
    )


class Shards(NamedTuple):
    """What there is to know of a split's files: records of each, and bytes of all examples."""

    lengths: list[int]
    bytes: int


def plan_shards(records: int, size: int) -> Shards:
    """The files of a split of so many records, which are `size` bytes in all."""
    count = max(-(-records // SHARD_RECORDS), -(-size // SHARD_BYTES))
    edges = [records * shard // count for shard in range(count + 1)]
    return Shards([stop - start for start, stop in zip(edges[:-1], edges[1:], strict=True)], size)


def shard_path(directory: Path, split: str, *, shard: int, shards: int) -> Path:
    """The path of one of a split's files."""
    return Path(
        _file_names(directory, split).sharded_filepath(shard_index=shard, num_shards=shards)
    )


def write(directory: Path, splits: Mapping[str, Sequence[Record]], *, statistics: Mapping) -> None:
    """Writes a dataset of records in memory into an existing folder; the splits that hold
    records."""
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
      OSError: it cannot be written.
    """
    try:
        # One record a chunk, so that a random access unpacks that record only.
        writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
        for data in encoded:
            writer.write(data)
        writer.close()
    except RuntimeError as error:
        raise OSError(f"{path.name}: {error}") from error


def write_statistics(directory: Path, statistics: Mapping) -> None:
    """Writes `statistics.json`, without which a folder is no dataset."""
    (directory / STATISTICS).write_text(
        json.dumps(statistics, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def write_metadata(directory: Path, shards: Mapping[str, Shards]) -> None:
    """Writes `dataset_info.json` and `features.json`, which make the folder a TFDS dataset, for
    files already there.

    And `shard_sizes.json`: the bytes of each file.
    """
    identity = tfds.core.dataset_info.DatasetIdentity(
        name=NAME,
        version=tfds.core.Version(VERSION),
        data_dir=str(directory),
        module_name=__package__,
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        description="Protein sequences and what UniProt says about them, one split per (source, "
        "confidence, coverage).",
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
    paths = [
        shard_path(directory, name, shard=i, shards=len(s.lengths))
        for name, s in shards.items()
        for i in range(len(s.lengths))
    ]
    sizes = {path.name: path.stat().st_size for path in paths}
    (directory / SHARD_SIZES).write_text(json.dumps(sizes, indent=2) + "\n", encoding="utf-8")


def _file_names(directory: Path, split: str) -> tfds.core.ShardedFileTemplate:
    return tfds.core.ShardedFileTemplate(
        data_dir=directory,
        dataset_name=NAME,
        split=split,
        filetype_suffix=tfds.core.FileFormat.ARRAY_RECORD.file_suffix,
    )


class Shard(NamedTuple):
    """A file and which of its records are read, as `array_record` takes it."""

    filename: str
    skip: int
    take: int
    examples_in_shard: int

    @classmethod
    def whole(cls, filename: str, length: int) -> "Shard":
        """All records of a file."""
        return cls(filename, 0, length, length)


class EncodedRecords(Sequence[bytes]):
    """The encoded records of a split's files, one after the other."""

    def __init__(self, shards: Sequence[Shard], *, fetch: Callable[[], None] | None = None):
        """`fetch` puts the files there, before the first of them is read."""
        self._fetch = fetch
        self._files = [shard.filename for shard in shards]
        self._ends = list(itertools.accumulate(shard.take for shard in shards))
        self._data = ArrayRecordDataSource(list(shards))

    def __len__(self) -> int:
        return len(self._data)

    def fetch(self) -> None:
        """Has the files put there now, if that is still to be done."""
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
                f"the dataset's file {file} is damaged or gone ({reason}); copy it again or {_FIX}."
            ) from error


class Split(Sequence[Record]):
    """The records of a split by index. Picklable; files are opened at the first read.

    Reading raises `UserError` for a damaged file.
    """

    def __init__(
        self,
        data: Sequence[bytes],
        decode: Callable[[bytes], Record] = decode_record,
        *,
        names: str = RECOMMENDED,
    ):
        """From the encoded records, how to decode one, and as in `with_names`."""
        self._data = data
        self._decode = decode
        self._names = names

    def fetch(self) -> None:
        """Copies the files of a dataset in a bucket to this machine, which the first read would
        do."""
        if isinstance(self._data, EncodedRecords):
            self._data.fetch()

    def without_features(self) -> "Split":
        """The same records with empty `features`, several times faster to read."""
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


class Splits(dict[str, Split]):
    """Split name → its records; a name that is not there is the user's mistake."""

    def __missing__(self, name: str):
        raise UserError(
            f"the dataset has no records in split {name}, only in {', '.join(self)}; build "
            "it with more entries."
        )


class ProtAnno(NamedTuple):
    """An open dataset: `statistics` as in `statistics.json`, and the splits that hold records.

    The `fingerprint` is a digest of the statistics, which name the inputs' own digests, and of each
    split's size: equal for copies of a dataset, and for another dataset another one.

    Whoever compares texts compares their `text_key`. It is the text itself, unless a model's
    tokenizer takes its place. `questions` about single properties are empty where the dataset was
    built without; `said`, who answers them by what their own texts say, where the file of
    questions does not tell. `directory` is its folder, None for one that lies nowhere.
    """

    statistics: dict
    splits: Splits
    fingerprint: str
    text_key: Callable[[str], Hashable] = str
    questions: Questions = MappingProxyType({})
    said: Questions = MappingProxyType({})
    directory: Path | None = None

    def nearest(self) -> Mapping[str, Nearest]:
        """How near each held-out record is to training, by accession; empty where the build did not
        keep it.

        Raises:
          UserError: the dataset's file is damaged.
        """
        return load_nearest(self.directory) if self.directory else MappingProxyType({})

    def train_size(self, cluster: str) -> int:
        """Training records of a cluster, `swissprot/C1/R4`."""
        return len(self.splits.get(split_name(cluster), ()))


def open_dataset(directory: str | Path, *, names: str = RECOMMENDED) -> ProtAnno:
    """Opens a dataset that `data_pipelines.build` made; of one in a bucket (`gs://`), files are
    copied when they are read.

    Args:
      names: which names the records have, as in `with_names`.

    Raises:
      UserError: the folder is missing, is no such dataset, lacks some of its files or a part of
        one, or the names asked for.
    """
    remote = BucketDataset(str(directory), _DESCRIBING) if is_bucket(directory) else None
    where, directory = str(directory), remote.folder if remote else Path(directory)
    if not directory.is_dir():
        raise UserError(f"the dataset folder {directory} does not exist; {_FIX}.")
    try:
        version, statistics, listed = (
            read_version(directory),
            read_statistics(directory),
            read_splits(directory),
        )
        sizes = read_json(directory / SHARD_SIZES)
    except UserError as error:
        raise UserError(
            f"{where} is no ProtAnno dataset ({str(error).rstrip('.')}); {_FIX}."
        ) from error
    if names != RECOMMENDED and version == _WITHOUT_NAMES:
        raise UserError(
            f"{where} stores recommended names only and tokenizer.names={names} needs all of them; "
            "build it again with `python -m data_pipelines.build`, or train with "
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
    asked, said = load_questions(directory), load_questions(directory, SAID_FILE)
    return ProtAnno(
        statistics, splits, fingerprint, questions=asked, said=said, directory=directory
    )


def check_listed(path: Path, remote: BucketDataset, sizes: Mapping[str, int]) -> None:
    """Raises a UserError if a file is missing in the bucket or has another size than it was
    written with."""
    size, wanted = remote.sizes.get(path.name), sizes.get(path.name)
    if size is None or size != wanted:
        found = "is missing" if size is None else f"has {size} bytes and should have {wanted}"
        raise UserError(
            f"the dataset's file {remote.url}/{path.name} {found}; copy it there again or {_FIX}."
        )


def check_size(path: Path, sizes: Mapping[str, int]) -> None:
    """Raises a UserError if a file is missing or has another size than it was written with."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UserError(
            f"the dataset {path.parent} lacks {path} ({error.strerror}); copy it again or {_FIX}."
        ) from error
    if size != sizes.get(path.name):
        raise UserError(
            f"the dataset's file {path} has {size} bytes and should have "
            f"{sizes.get(path.name)}; copy it again or {_FIX}."
        )

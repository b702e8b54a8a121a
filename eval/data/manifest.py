"""A data folder's manifest `benchmarks.json`: which files hold which benchmark, in which format.

An entry maps a benchmark, or a group of them (`go`, `knowledge_graph`), to `{"format": NAME, …}`;
files are relative to the data folder. A benchmark without an entry is looked for in the neutral
layout, a folder with its name. `python -m eval.data.manifest` lists what a folder has and writes a
first manifest.
"""

import argparse
import dataclasses
import functools
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import GenericAlias

from data_pipelines.common.errors import UserError, command
from data_pipelines.common.json_object import read_json
from eval.benchmarks.families import BENCHMARKS, FORMATS, family_of
from eval.data.base.benchmark import Benchmark
from eval.data.base.format import Format, NeutralFolder
from eval.data.base.missing import MissingData
from eval.data.base.region import cut_to_region
from eval.data.base.task import Data
from eval.data.overview import overview
from eval.data.template import template

MANIFEST = "benchmarks.json"
REGION = "region"
_ALWAYS = ("format", "comment", REGION)
_KINDS = {
    str: "a text",
    int: "a whole number",
    list[str]: "a list of texts",
    list[int]: "a list of whole numbers",
}


def load(data_dir: Path, benchmark: str) -> Data:
    """Reads the data of a benchmark, cut to the benchmark's region if it has one.

    Files inside the data folder are named relative to it.

    Raises:
      MissingData: no entry and no folder of the neutral layout exists, or a named file does not
      exist.
      UserError: the manifest or a file has another form.
    """
    data_dir = Path(data_dir)
    data, known = _whole(data_dir, benchmark), _known(benchmark)
    if known.region is None:
        return data
    return cut_to_region(data, tuple(_entry(data_dir, known).get(REGION, known.region)))


def _whole(data_dir: Path, benchmark: str) -> Data:
    """Like `load`, but with whole proteins."""
    known = _known(benchmark)
    if not known.formats:
        return _whole(data_dir, known.proteins_of)
    entry = _entry(data_dir, known)
    arguments = _arguments(data_dir, known, entry)
    # Data that do not depend on the benchmark are shared by the whole group.
    if known.group and not FORMATS[entry["format"]].given:
        return _of_group(data_dir, known.group, json.dumps(entry), _stamps(arguments))
    return _read(data_dir, known, entry, arguments)


def _known(name: str) -> Benchmark:
    if name not in BENCHMARKS:
        raise UserError(f"unknown benchmark {name!r}; expected {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]


def _read(data_dir: Path, benchmark: Benchmark, entry: Mapping, arguments: Mapping) -> Data:
    format_, family = FORMATS[entry["format"]], family_of(benchmark.name)
    own = {"benchmark": benchmark.name, "kind": benchmark.kind}
    if benchmark.proteins_of:
        own["task"] = _whole(data_dir, benchmark.proteins_of)
    given = {name: own[name] for name in format_.given}
    loaded = family.accepted(benchmark, format_.read(**arguments, **given))
    return family.joined([_relative(part, data_dir) for part in family.parts(loaded)])


def available(data_dir: Path) -> tuple[list[str], dict[str, str]]:
    """Lists the benchmarks whose files all exist, and for the others what is missing.

    The files are not read.

    Raises:
      UserError: the manifest has another form.
    """
    known = survey(data_dir)
    wanted = {name: str(found) for name, found in known.items() if isinstance(found, MissingData)}
    return [name for name in known if name not in wanted], wanted


def survey(data_dir: Path) -> dict[str, list[Path] | MissingData]:
    """The files of every benchmark, or what is missing.

    Raises:
      UserError: the manifest has another form.
    """
    known = {}
    for benchmark in BENCHMARKS:
        try:
            known[benchmark] = files_of(data_dir, benchmark)
        except MissingData as error:
            known[benchmark] = error
    return known


def files_of(data_dir: Path, benchmark: str) -> list[Path]:
    """The files and folders of a benchmark, all of which exist. They are not read.

    Raises:
      MissingData: a file or the entry is missing.
      UserError: the manifest has another form.
    """
    entries = entries_of(data_dir, benchmark)
    arguments = [
        _arguments(Path(data_dir), BENCHMARKS[name], entry) for name, entry in entries.items()
    ]
    return [path for given in arguments for path in _paths(given)]


def entries_of(data_dir: Path, benchmark: str) -> dict[str, dict]:
    """The entries that define a benchmark, without comments: its own and that of its proteins.

    Together with the contents of the files they determine what `load` returns.

    Raises:
      MissingData: an entry is missing.
      UserError: the manifest has another form.
    """
    known = _known(benchmark)
    entries = {}
    if known.formats:
        entry = _entry(Path(data_dir), known)
        entries[benchmark] = {key: value for key, value in entry.items() if key != "comment"}
    if known.proteins_of:
        entries |= entries_of(data_dir, known.proteins_of)
    return entries


@functools.lru_cache(maxsize=1)
def _of_group(data_dir: Path, group: str, entry: str, stamps: tuple) -> Data:
    """Reads what an entry names for a whole group; caches the last one while its files stay."""
    del stamps
    member = next(benchmark for benchmark in BENCHMARKS.values() if benchmark.group == group)
    values = json.loads(entry)
    return _read(data_dir, member, values, _arguments(data_dir, member, values))


def _stamps(value: object) -> tuple:
    """Path, size and modification time of each file among an importer's arguments."""
    found = [(path, path.stat()) for path in _paths(value)]
    return tuple((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in found)


def _paths(value: object) -> Iterator[Path]:
    """The files and folders among an importer's arguments."""
    if isinstance(value, Path):
        yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _paths(part)


def _relative(loaded: Data, data_dir: Path) -> Data:
    """Shortens paths inside the data folder in sources and rejects."""

    def shortened(path: str) -> str:
        return (
            str(Path(path).relative_to(data_dir)) if Path(path).is_relative_to(data_dir) else path
        )

    sources = [
        dataclasses.replace(source, path=shortened(source.path)) for source in loaded.sources
    ]
    rejects = [
        dataclasses.replace(reject, file=shortened(reject.file)) for reject in loaded.rejects
    ]
    return dataclasses.replace(loaded, sources=sources, rejects=rejects)


def _entry(data_dir: Path, benchmark: Benchmark) -> dict:
    entries = _entries(data_dir)
    for name in benchmark.entry_names:
        if name in entries:
            return entries[name]
    for name in benchmark.entry_names:
        if entry := _neutral_entry(NeutralFolder(data_dir, name), benchmark):
            return entry
    raise MissingData(
        f"no data for {benchmark.name}: {data_dir / MANIFEST} "
        f"{'has no entry for it' if entries else 'does not exist'}, and there is no folder "
        f"{data_dir / benchmark.name} in the neutral layout. Wanted: {benchmark.wanted}; see "
        "docs/benchmarks.md.",
        lacking="no entry",
    )


def _neutral_entry(folder: NeutralFolder, benchmark: Benchmark) -> dict | None:
    """The entry for a folder of the neutral layout, if the folder exists."""
    for format_ in benchmark.formats:
        if entry := format_.neutral(folder):
            return {"format": format_.name} | entry
    return None


def _entries(data_dir: Path) -> dict[str, dict]:
    path = data_dir / MANIFEST
    if not path.exists():
        if not data_dir.is_dir():
            raise UserError(
                f"{data_dir} is not a folder; give the data folder, with {MANIFEST} or the "
                "neutral layout in it."
            )
        return {}
    entries = read_json(path)
    may_stand = {name for benchmark in BENCHMARKS.values() for name in benchmark.entry_names}
    for name, entry in entries.items():
        if name in BENCHMARKS and not BENCHMARKS[name].formats:
            raise UserError(
                f"{path} has an entry {name!r}, which uses the files of "
                f"{BENCHMARKS[name].proteins_of}; remove it."
            )
        if name not in may_stand and name != "comment":
            raise UserError(
                f"{path} has an entry for an unknown benchmark {name!r}; expected "
                f"{', '.join(BENCHMARKS)}."
            )
        if name != "comment" and (
            not isinstance(entry, dict) or entry.get("format") not in tuple(FORMATS)
        ):
            raise UserError(
                f"{path}: unknown format in the entry {name!r}; expected one of "
                f"{', '.join(FORMATS)}."
            )
    return entries


def _arguments(data_dir: Path, benchmark: Benchmark, entry: Mapping) -> dict:
    """Turns the entry into the importer's arguments; every file in it exists.

    Raises:
      MissingData: a file does not exist.
      UserError: the entry does not fit its format.
    """
    format_, at = FORMATS[entry["format"]], f"{data_dir / MANIFEST}, {benchmark.name}"
    _check(entry, format_, benchmark, at)
    given = {key: value for key, value in entry.items() if key not in _ALWAYS}

    def one(value: object, key: str) -> Path:
        if not isinstance(value, str) or not value:
            raise UserError(f"{at}: {key} is {value!r}; expected the name of a file.")
        if not (data_dir / value).exists():
            raise MissingData(
                f"{data_dir / value}, {key} of {benchmark.name}, does not exist. Wanted: "
                f"{benchmark.wanted}.",
                lacking=value,
            )
        return data_dir / value

    def several(value: object, key: str) -> list[Path]:
        return [one(name, key) for name in (value if isinstance(value, list) else [value])]

    def named(value: object, key: str) -> dict:
        if not isinstance(value, dict) or not value:
            raise UserError(f"{at}: {key} is {value!r}; expected an object of names and files.")
        return value

    arguments = {}
    for key, value in given.items():
        if key in format_.splits:
            arguments.setdefault("files", {})[key] = several(value, key)
        elif key in format_.file:
            arguments[key] = one(value, key)
        elif key in format_.files:
            arguments[key] = several(value, key)
        elif key in format_.named_file:
            arguments[key] = {
                name: one(file, f"{key} {name}") for name, file in named(value, key).items()
            }
        elif key in format_.named_files:
            arguments[key] = {
                name: several(files, f"{key} {name}") for name, files in named(value, key).items()
            }
        elif key in format_.vectors:
            arguments[key] = {
                name: _vectors(given, name, at, one) for name, given in named(value, key).items()
            }
        else:
            arguments[key] = value
    return arguments


def _vectors(given: object, name: str, at: str, one) -> dict:
    if (
        not isinstance(given, dict)
        or set(given) != {"file", "source"}
        or not isinstance(given["source"], str)
    ):
        raise UserError(
            f'{at}: vectors of {name} need {{"file": …, "source": …}}, where source says who '
            "made them."
        )
    return {"file": one(given["file"], f"vectors {name}"), "source": given["source"]}


def _check(entry: Mapping, format_: Format, benchmark: Benchmark, at: str) -> None:
    if benchmark.format(format_.name) is None:
        fitting = [other.name for other in benchmark.formats]
        raise UserError(
            f"{at}: the format {entry['format']} cannot hold this benchmark; expected "
            f"{', '.join(fitting)}."
        )
    _check_region(entry, benchmark, at)
    for key, value in entry.items():
        if key not in (*format_.keys, *_ALWAYS):
            raise UserError(
                f"{at}: unknown key {key!r} for the format {entry['format']}; expected "
                f"{', '.join(format_.keys)}."
            )
        if key in format_.options and not _is(value, format_.options[key]):
            raise UserError(f"{at}: {key} is {value!r}; expected {_KINDS[format_.options[key]]}.")
    if missing := [key for key in format_.required if key not in entry]:
        raise UserError(f"{at} lacks {' and '.join(missing)}, which {entry['format']} needs.")
    if format_.splits and not any(split in entry for split in format_.splits):
        raise UserError(f"{at} names no file; {entry['format']} takes {', '.join(format_.splits)}.")


def _check_region(entry: Mapping, benchmark: Benchmark, at: str) -> None:
    """Refuses a malformed region, or a region where the benchmark takes none."""
    if REGION not in entry:
        return
    if benchmark.region is None:
        raise UserError(
            f"{at} has a region, which only benchmarks of one protein's variants take; remove it."
        )
    region = entry[REGION]
    if not _is(region, list[int]) or len(region) != 2 or not 1 <= region[0] <= region[1]:
        raise UserError(
            f"{at}: region is {region!r}; expected the first and last residue, such as "
            f"{list(benchmark.region)}."
        )


def _is(value: object, kind: type | GenericAlias) -> bool:
    """Whether a JSON value is of one of `_KINDS`; lists must not be empty."""
    if kind in (str, int):
        return type(value) is kind
    (each,) = kind.__args__
    return isinstance(value, list) and len(value) > 0 and all(type(one) is each for one in value)


@command
def main(arguments: list[str] | None = None) -> None:
    """Lists the benchmarks in a data folder, or writes a manifest to start from."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.data.manifest",
        epilog="Example: python -m eval.data.manifest --data_dir public --template",
        description=main.__doc__,
    )
    parser.add_argument(
        "--data_dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="the folder with the benchmarks' data",
    )
    parser.add_argument(
        "--template",
        action="store_true",
        help=f"write DIR/{MANIFEST} with an entry for every benchmark",
    )
    options = parser.parse_args(arguments)
    if options.template:
        path = options.data_dir / MANIFEST
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(template())
        except OSError as error:
            raise UserError(
                f"{path} cannot be created ({error.strerror}); move an existing one away, or "
                "check the folder."
            ) from error
        print(
            f"wrote {path}: name your files in it, and remove what you do not have",
            file=sys.stderr,
        )
        return
    print(overview(survey(options.data_dir)))


if __name__ == "__main__":
    sys.exit(main())

"""A data folder's manifest `benchmarks.json`: which files hold which benchmark, in which format.

An entry maps a benchmark, or a group of them (`go`, `knowledge_graph`), to `{"format": NAME, …}`; files are relative to the
data folder. A benchmark without an entry is looked for in the neutral layout, a folder of its name. `python -m
eval.data.manifest` tells what a folder has and writes a first manifest.
"""

import argparse
import dataclasses
import functools
import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import GenericAlias

from data_pipelines.common.errors import UserError, command
from data_pipelines.common.json_object import read_json
from eval.data.base.benchmarks import (
    BENCHMARKS,
    CROSS_MODAL,
    FEW_SHOT,
    GROUPS,
    INTERACTION,
    KINDS,
    SIMILARITY,
    WANTED,
    ZERO_SHOT,
)
from eval.data.base.task import SPLITS, Benchmark, KnowledgeGraph, Task
from eval.data.formats import FORMATS, Format
from eval.data.template import template

MANIFEST = "benchmarks.json"
_ALWAYS = ("format", "comment")
_KINDS = {str: "a text", int: "a whole number", list[str]: "a list of texts", list[int]: "a list of whole numbers"}


class MissingData(UserError):
    """The data folder lacks a benchmark's files; the sentence names them and where they come from."""


def load(data_dir: Path, benchmark: str) -> Benchmark:
    """The data of a benchmark. Files are named relative to the data folder where they lie in it.

    Raises:
      MissingData: there is no entry and no folder of the neutral layout, or a file that is named is not there.
      UserError: the manifest or a file is not of its form.
    """
    data_dir = Path(data_dir)
    if benchmark in FEW_SHOT:
        return load(data_dir, FEW_SHOT[benchmark])
    entry = _entry(data_dir, benchmark)
    arguments = _arguments(data_dir, benchmark, entry)
    if benchmark in CROSS_MODAL:
        return _graph(data_dir, json.dumps(entry), _stamps(arguments))
    if benchmark in ZERO_SHOT:
        return _relative(FORMATS[entry["format"]].read(load(data_dir, ZERO_SHOT[benchmark]), **arguments), data_dir)
    loaded = FORMATS[entry["format"]].read(**arguments)
    if isinstance(loaded, tuple):
        return tuple(_relative(table, data_dir) for table in loaded)
    if isinstance(loaded, Task) and not any(loaded.splits.values()):
        raise UserError(f"{benchmark} has no row that can be used; the first of its faults is: {_first_fault(loaded)}.")
    return _relative(loaded, data_dir)


def available(data_dir: Path) -> tuple[list[str], dict[str, str]]:
    """The benchmarks whose files are all there, and of the others what is wanted. The files are not read.

    Raises:
      UserError: the manifest is not of its form.
    """
    found, wanted = [], {}
    for benchmark in BENCHMARKS:
        try:
            for name, entry in entries_of(data_dir, benchmark).items():
                _arguments(Path(data_dir), name, entry)
            found.append(benchmark)
        except MissingData as error:
            wanted[benchmark] = str(error)
    return found, wanted


def entries_of(data_dir: Path, benchmark: str) -> dict[str, dict]:
    """The entries that a benchmark is read by, without comments: its own and, of one by prompts, that of its proteins.

    Together with the contents of the files they decide what `load` gives.

    Raises:
      MissingData: one is not there.
      UserError: the manifest is not of its form.
    """
    names = [FEW_SHOT.get(benchmark, benchmark), *filter(None, [ZERO_SHOT.get(benchmark)])]
    entries = {name: _entry(Path(data_dir), name) for name in names}
    return {name: {key: value for key, value in entry.items() if key != "comment"} for name, entry in entries.items()}


@functools.lru_cache(maxsize=1)
def _graph(data_dir: Path, entry: str, stamps: tuple) -> KnowledgeGraph:
    """The knowledge graph that an entry names; the last one is kept while its files stay, since five benchmarks share it."""
    del stamps
    values = json.loads(entry)
    arguments = _arguments(data_dir, CROSS_MODAL[0], values)
    return _relative(FORMATS[values["format"]].read(**arguments), data_dir)


def _stamps(value: object) -> tuple:
    """Path, size and time of each file among an importer's arguments."""
    if isinstance(value, Path):
        found = value.stat()
        return ((str(value), found.st_size, found.st_mtime_ns),)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return tuple(stamp for part in parts for stamp in _stamps(part))


def _first_fault(task: Task) -> str:
    return task.rejects[0].reason if task.rejects else "the files are empty"


def _relative(loaded, data_dir: Path):
    """With the paths of sources and rejects shortened to those inside the data folder."""

    def shortened(path: str) -> str:
        return str(Path(path).relative_to(data_dir)) if Path(path).is_relative_to(data_dir) else path

    sources = [dataclasses.replace(source, path=shortened(source.path)) for source in loaded.sources]
    rejects = [dataclasses.replace(reject, file=shortened(reject.file)) for reject in loaded.rejects]
    return dataclasses.replace(loaded, sources=sources, rejects=rejects)


def _entry(data_dir: Path, benchmark: str) -> dict:
    if benchmark not in BENCHMARKS:
        raise UserError(f"There is no benchmark {benchmark!r}; known: {', '.join(BENCHMARKS)}.")
    entries = _entries(data_dir)
    for name in (benchmark, GROUPS.get(benchmark)):
        if name in entries:
            return entries[name]
    for name in filter(None, (benchmark, GROUPS.get(benchmark))):
        if entry := _neutral_entry(data_dir, benchmark, name):
            return entry
    raise MissingData(
        f"There are no data for {benchmark}: {data_dir / MANIFEST} {'has no entry for it' if entries else 'is not there'}, "
        f"nor is {data_dir / benchmark} in the neutral layout. Wanted: {WANTED[benchmark]}; see docs/benchmarks.md."
    )


def _entries(data_dir: Path) -> dict[str, dict]:
    path = data_dir / MANIFEST
    if not path.exists():
        if not data_dir.is_dir():
            raise UserError(f"{data_dir} is no folder; give the data folder, with {MANIFEST} or the neutral layout in it.")
        return {}
    entries = read_json(path)
    for name, entry in entries.items():
        if name in FEW_SHOT:
            raise UserError(f"{path} has an entry {name!r}, which takes the files of {FEW_SHOT[name]}; remove it.")
        if name not in (*BENCHMARKS, *GROUPS.values(), "comment"):
            raise UserError(f"{path} has an entry {name!r}, which is no benchmark; known: {', '.join(BENCHMARKS)}.")
        if name != "comment" and (not isinstance(entry, dict) or entry.get("format") not in tuple(FORMATS)):
            raise UserError(f"{path}: the entry {name!r} names none of the formats {', '.join(FORMATS)}.")
    return entries


def _arguments(data_dir: Path, benchmark: str, entry: Mapping) -> dict:
    """The importer's arguments, every file of which is there.

    Raises:
      MissingData: one is not.
      UserError: the entry is not of its format.
    """
    format_, at = FORMATS[entry["format"]], f"{data_dir / MANIFEST}, {benchmark}"
    _check(entry, format_, benchmark, at)
    given = {key: value for key, value in entry.items() if key not in _ALWAYS}

    def one(value: object, key: str) -> Path:
        if not isinstance(value, str) or not value:
            raise UserError(f"{at}: {key} is {value!r}, not the name of a file.")
        if not (data_dir / value).exists():
            raise MissingData(f"{data_dir / value}, {key} of {benchmark}, is not there. Wanted: {WANTED[benchmark]}.")
        return data_dir / value

    def several(value: object, key: str) -> list[Path]:
        return [one(name, key) for name in (value if isinstance(value, list) else [value])]

    def named(value: object, key: str) -> dict:
        if not isinstance(value, dict) or not value:
            raise UserError(f"{at}: {key} is {value!r}, not an object of names and files.")
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
            arguments[key] = {name: one(file, f"{key} {name}") for name, file in named(value, key).items()}
        elif key in format_.named_files:
            arguments[key] = {name: several(files, f"{key} {name}") for name, files in named(value, key).items()}
        elif key in format_.vectors:
            arguments[key] = {name: _vectors(given, name, at, one) for name, given in named(value, key).items()}
        else:
            arguments[key] = value
    if "benchmark" in inspect.signature(format_.read).parameters:
        arguments["benchmark"] = benchmark
    return arguments


def _vectors(given: object, name: str, at: str, one) -> dict:
    if not isinstance(given, dict) or set(given) != {"file", "source"} or not isinstance(given["source"], str):
        raise UserError(f'{at}: vectors of {name} need {{"file": …, "source": …}}, the source being who made them.')
    return {"file": one(given["file"], f"vectors {name}"), "source": given["source"]}


def _check(entry: Mapping, format_: Format, benchmark: str, at: str) -> None:
    if benchmark not in format_.benchmarks:
        fitting = [name for name, other in FORMATS.items() if benchmark in other.benchmarks]
        raise UserError(f"{at}: the format {entry['format']} cannot hold it; those that can are {', '.join(fitting)}.")
    for key, value in entry.items():
        if key not in (*format_.keys, *_ALWAYS):
            raise UserError(f"{at} has {key!r}, which {entry['format']} does not take; it takes {', '.join(format_.keys)}.")
        if key in format_.options and not _is(value, format_.options[key]):
            raise UserError(f"{at}: {key} is {value!r}, not {_KINDS[format_.options[key]]}.")
    if missing := [key for key in format_.required if key not in entry]:
        raise UserError(f"{at} lacks {' and '.join(missing)}, which {entry['format']} needs.")
    if format_.splits and not any(split in entry for split in format_.splits):
        raise UserError(f"{at} names no file; {entry['format']} takes {', '.join(format_.splits)}.")


def _is(value: object, kind: type | GenericAlias) -> bool:
    """Whether a value of JSON is of a kind of `_KINDS`; a list has one of its kind at least."""
    if kind in (str, int):
        return type(value) is kind
    (each,) = kind.__args__
    return isinstance(value, list) and len(value) > 0 and all(type(one) is each for one in value)


def _neutral_entry(data_dir: Path, benchmark: str, name: str) -> dict | None:
    """The entry that a folder of the neutral layout amounts to, if there is one."""
    there = dict(_neutral_files(data_dir, name))
    if benchmark in KINDS and any(split in there for split in SPLITS):
        return {"format": "neutral"} | {key: there[key] for key in (*SPLITS, "classes") if key in there}
    if benchmark in INTERACTION and {"interactions", "proteins"} <= there.keys():
        return {"format": "interaction_table", "file": there["interactions"], "sequences": there["proteins"]}
    if benchmark in CROSS_MODAL and {"nodes", "edges"} <= there.keys():
        return {"format": "graph_tables", "nodes": there["nodes"], "edges": there["edges"]}
    if benchmark in ZERO_SHOT and "prompts" in there:
        return {"format": "prompt_table", "file": there["prompts"]}
    sets = {key: there[key] for key in ("500", "200", "sparse") if key in there}
    if benchmark in SIMILARITY and sets and "proteins" in there:
        return {"format": "similarity_tables", "files": sets, "sequences": there["proteins"]}
    return None


def _neutral_files(data_dir: Path, name: str) -> Iterator[tuple[str, str]]:
    stems = (*SPLITS, "interactions", "proteins", "nodes", "edges", "500", "200", "sparse", "prompts")
    for stem in stems:
        for suffix in (".tsv", ".tsv.gz"):
            if (data_dir / name / f"{stem}{suffix}").is_file():
                yield stem, f"{name}/{stem}{suffix}"
    if (data_dir / name / "classes.txt").is_file():
        yield "classes", f"{name}/classes.txt"


@command
def main(arguments: list[str] | None = None) -> None:
    """Tells which benchmarks a data folder has, or writes a manifest to start from."""
    parser = argparse.ArgumentParser(prog="python -m eval.data.manifest", description=main.__doc__)
    parser.add_argument("--data_dir", type=Path, required=True, metavar="DIR", help="the folder of benchmarks' data")
    parser.add_argument("--template", action="store_true", help=f"write DIR/{MANIFEST} with an entry for every benchmark")
    options = parser.parse_args(arguments)
    if options.template:
        path = options.data_dir / MANIFEST
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(template())
        except OSError as error:
            raise UserError(f"{path} cannot be made ({error.strerror}); move an old one away, or check the folder.") from error
        print(f"wrote {path}: name your files there, and take out what you do not have", file=sys.stderr)
        return
    found, wanted = available(options.data_dir)
    for name in found:
        print(f"{name}: its files are there")
    for name, sentence in wanted.items():
        print(f"{name}: {sentence}")


if __name__ == "__main__":
    sys.exit(main())

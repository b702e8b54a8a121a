"""Every file of every format, damaged: it is read with its rejects, or refused in one sentence
that names a file."""

import gzip
import json
import random
import shutil

import pytest

from data_pipelines.common.errors import UserError
from eval.benchmarks.families import BENCHMARKS
from eval.data.manifest import load


def random_bytes(content, rng):
    return bytes(rng.randrange(256) for _ in range(300))


def random_letters(content, rng):
    return bytes(rng.randrange(33, 126) if rng.random() < 0.02 else byte for byte in content)


def shuffled_lines(content, rng):
    lines = content.splitlines(keepends=True)
    return b"".join(rng.sample(lines, len(lines)))


DAMAGE = {
    "empty": lambda content, rng: b"",
    "blank": lambda content, rng: b"\n \n",
    "binary": random_bytes,
    "half": lambda content, rng: content[: len(content) // 2],
    "cut gzip": lambda content, rng: gzip.compress(content)[:-20],
    "letters": random_letters,
    "shuffled": shuffled_lines,
    "no header": lambda content, rng: content.partition(b"\n")[2],
    "json": lambda content, rng: b'{"name": [1], "aa_seq": null, "label": {}}\n',
    "fasta": lambda content, rng: b">\n>|||\nMK\n> x\n",
    "table": lambda content, rng: b"a,b,c\n1,2,3\n",
}


def files_of(entry):
    """The names in an entry that are files."""
    values = (
        entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else [entry]
    )
    for value in values:
        if isinstance(value, str) and "/" in value:
            yield value
        elif isinstance(value, dict | list):
            yield from files_of(value)


def refusal(folder, benchmark):
    try:
        load(folder, benchmark)
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_files(miniature_folder, tmp_path, kind):
    rng = random.Random(kind)
    folder = shutil.copytree(miniature_folder, tmp_path / "data")
    refused = 0
    entries = json.loads((folder / "benchmarks.json").read_text())
    for name, entry in entries.items():
        benchmark = next(own.name for own in BENCHMARKS.values() if name in own.entry_names)
        named = [folder / file for file in dict.fromkeys(files_of(entry))]
        inside = [each for path in named if path.is_dir() for each in sorted(path.iterdir())]
        for file in [path for path in named if path.is_file()] + inside:
            content = file.read_bytes()
            file.write_bytes(DAMAGE[kind](content, rng))
            (folder / "benchmarks.json").write_text(json.dumps({name: entry}))
            sentence = refusal(folder, benchmark)
            assert not sentence or str(folder) in sentence or benchmark in sentence, sentence
            refused += bool(sentence)
            file.write_bytes(content)
    assert refused > 5 or kind in ("letters", "shuffled", "half")

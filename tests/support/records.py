"""Records and files of them for tests of the builder, and what a dataset must hold, computed the
plain way."""

import gzip
import hashlib
from collections import defaultdict

import numpy as np

from data_pipelines.build import __main__ as build
from data_pipelines.protanno.dataset import open_dataset
from data_pipelines.protanno.record import Feature, Record
from data_pipelines.sample.flat_file import format_entry

ACIDS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


def random_sequence(rng, length):
    return "".join(rng.choice(ACIDS, length))


def mutated(sequence, identity, rng):
    """The sequence with a share 1 - identity of its residues replaced by others."""
    letters = np.array(list(sequence))
    positions = rng.random(len(letters)) > identity
    letters[positions] = ACIDS[
        (np.searchsorted(ACIDS, letters[positions]) + rng.integers(1, 20, positions.sum())) % 20
    ]
    return "".join(letters)


def record(index, **changes):
    fields = {
        "accession": f"P{index:05}",
        "entry_name": f"A{index}_TEST",
        "source": "swissprot",
        "sequence": random_sequence(np.random.default_rng(index), 60),
        "existence": 1 + index % 5,
        "name": f"Protein {index}",
        "function": "Cuts. {ECO:0000305}." if index % 2 else "",
        "features": (Feature("HELIX", 3, 9, "first"),),
    }
    return Record(**(fields | changes))


def write_entries(path, records, *more):
    """A flat file of records and of further entries as text."""
    content = ("".join(map(format_entry, records)) + "".join(more)).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def contents(folder):
    """Split → its records in their order."""
    return {name: list(split) for name, split in open_dataset(folder).splits.items()}


def digests(folder):
    """File → digest, of everything in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def number(text):
    """A text's hash in [0, 1), and as the number that orders records."""
    value = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    return value / 2**64, value


def expected(
    records, *, clusters, validation_fraction=0.05, test_fraction=0.05, random_test_fraction=None
):
    """What a dataset of these records must hold, as `contents` reads it."""
    if random_test_fraction is None:
        random_test_fraction = 0.02 if clusters else 0
    properties = ("name", "function", "location", "similarity")

    def key(one):
        return (
            one.existence or 6,
            -sum(getattr(one, name) != "" for name in properties),
            one.source == "trembl",
            one.accession,
            one.entry_name,
        )

    best = {}
    for one in sorted(records, key=key):
        best.setdefault(one.sequence, one)
    splits = defaultdict(list)
    for one in sorted(best.values(), key=lambda one: number(one.sequence)[1]):
        unit = (
            f"cluster {clusters[one.accession]}"
            if one.accession in clusters
            else f"sequence {one.sequence}"
        )
        position = number(unit)[0]
        present = sum(getattr(one, name) != "" for name in properties)
        if position < validation_fraction:
            splits["validation"].append(one)
        elif position < validation_fraction + test_fraction:
            splits["test"].append(one)
        elif number(one.sequence)[0] < random_test_fraction:
            splits["random_test"].append(one)
        else:
            splits[f"{one.source}_c{one.existence}_r{present}"].append(one)
    return dict(splits)


def run(*arguments):
    """The exit code of a build."""
    return build.main([str(argument) for argument in arguments])

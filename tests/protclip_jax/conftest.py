"""What several tests search: a tiny model over the sample's test split, with three labels and a
name that is HTML."""

from pathlib import Path
from typing import NamedTuple

import pytest

from data_pipelines.protanno.record import Record
from tests.support import searching, tiny
from tests.support.searching import NASTY


class SearchFolder(NamedTuple):
    """Paths of a checkpoint, an index of proteins, and a library of labels `positions`."""

    checkpoint: str
    index: str
    labels: str


class Indexed(NamedTuple):
    """A checkpoint, 40 records, and an index of them from a FASTA file; tests change copies
    only."""

    checkpoint: Path
    records: list[Record]
    folder: Path


@pytest.fixture(scope="session")
def indexed(tmp_path_factory):
    folder, records = tmp_path_factory.mktemp("indexed"), tiny.records(40, seed=5)
    checkpoint = searching.make_checkpoint(folder / "checkpoint")
    fasta = searching.write_fasta(folder / "x.fasta.gz", records)
    assert searching.make_index(checkpoint, folder / "made", input=fasta) == 0
    return Indexed(checkpoint, records, folder / "made")


@pytest.fixture(scope="session")
def search_folder(sample_dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("searching")
    checkpoint = searching.make_checkpoint(folder / "c")
    options = {"input": sample_dataset / "protanno", "splits": ["test"]}
    assert searching.make_index(checkpoint, folder / "i", **options) == 0
    fasta = searching.write_fasta(
        folder / "x.fasta",
        [Record("nasty", "", "swissprot", "MWWWWHHHHKKKKCCCCWWWWHHHHM", 0, NASTY)],
    )
    assert searching.make_index(checkpoint, folder / "i", input=fasta, append=True) == 0
    (folder / "places.tsv").write_text(searching.LABELS)
    return SearchFolder(*map(str, (checkpoint, folder / "i", folder / "places.tsv")))


@pytest.fixture(scope="session")
def engine(search_folder):
    from protclip_jax.retrieval import SearchEngine

    return SearchEngine.load(
        search_folder.checkpoint, index=search_folder.index, labels=[search_folder.labels]
    )

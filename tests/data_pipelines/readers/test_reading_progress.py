"""How far files are read, plain and gzip, one and several."""

import gzip
import re

import pytest

from data_pipelines.common import progress as shown
from data_pipelines.inputs.model_input import Source
from data_pipelines.inputs.record_source import RecordSource
from data_pipelines.inputs.survey import Measured, take_survey
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.reading_progress import Watch, reading_progress


def read(path, size):
    """The content in pieces."""
    with open_bytes(path) as content:
        while piece := content.read(size):
            yield piece


@pytest.fixture
def files(tmp_path):
    plain, packed = tmp_path / "a.txt", tmp_path / "b.txt.gz"
    plain.write_bytes(b"x" * 100_000)
    packed.write_bytes(gzip.compress(bytes(range(256)) * 400, mtime=0))
    return [plain, packed]


def test_the_position_is_of_the_files_as_they_are(files):
    sizes = [path.stat().st_size for path in files]
    with Watch(files) as watch:
        assert (watch.total, watch.position) == (sum(sizes), 0)
        first = read(files[0], 25_000)
        next(first)
        assert 25_000 <= watch.position < sizes[0]
        list(first)
        assert watch.position == sizes[0]
        list(read(files[1], 1000))
        assert watch.position == watch.total
        # Read again, it is counted once.
        list(read(files[0], 1000))
        assert watch.position == watch.total


def test_only_the_files_that_are_watched_count(files):
    with Watch(files[:1]) as watch:
        list(read(files[1], 1000))
        assert watch.position == 0
    list(read(files[0], 1000))
    assert watch.position == 0


def test_items_come_through_and_the_display_counts_them(files, capsys, monkeypatch):
    monkeypatch.setattr(shown, "LINE_SECONDS", 0)
    pieces = reading_progress(
        read(files[0], 30_000), files[:1], description="read", noun="letters", size=len
    )
    assert sum(map(len, pieces)) == 100_000
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("read: 0.00/100k B")
    assert lines[-1].startswith("read: 100k/100k B")
    assert lines[-1].endswith("100,000 letters]")


def measure(text):
    return Measured(len(text), False)


def test_the_survey_of_a_file_knows_its_size(tmp_path, capsys):
    path = tmp_path / "x.fasta.gz"
    path.write_bytes(gzip.compress(b">a\nMKV\n>b\nMKL\n" * 50))
    source = Source(path=path, format="fasta", modality="protein")
    take_survey(source, measure=measure, rejects=tmp_path / "rejects.tsv")
    printed = capsys.readouterr().err
    size = path.stat().st_size
    assert re.search(
        rf"^check: {size}\.?0?/{size}\.?0? B \[.*100 proteins\]$", printed, re.MULTILINE
    ), printed
    assert "/?" not in printed


def test_the_survey_of_a_dataset_knows_its_records(sample_dataset, tmp_path, capsys):
    source = RecordSource(path=sample_dataset / "protanno", splits=("test",))
    found = take_survey(source, measure=measure, rejects=tmp_path / "rejects.tsv")
    assert f"check: {found.items}/{found.items} proteins" in capsys.readouterr().err

"""UniProt entries and datasets as the input of a model."""

import gzip

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.record_source import RecordSource
from data_pipelines.protanno.dataset import open_dataset


def test_a_dataset_gives_all_its_records_or_those_of_some_splits(sample_dataset):
    dataset = open_dataset(sample_dataset / "protanno")
    items = list(RecordSource(path=sample_dataset / "protanno").prepared())
    assert len(items) == sum(map(len, dataset.splits.values()))
    some = list(RecordSource(path=sample_dataset / "protanno", splits=("test",)).prepared())
    accessions = [record.accession for record in dataset.splits["test"]]
    assert [item.id for item in some] == accessions
    first = dataset.splits["test"][0]
    assert (some[0].text, some[0].name, some[0].record, some[0].fault) == (
        first.sequence,
        first.name,
        first,
        "",
    )
    with pytest.raises(UserError, match="no records in split nosuch"):
        list(RecordSource(path=sample_dataset / "protanno", splits=("nosuch",)).prepared())


def test_entries_that_are_no_records_have_the_readers_reason(sample_dataset, tmp_path):
    entries = (
        gzip.decompress((sample_dataset / "sample.dat.gz").read_bytes()).decode().split("//\n")[:3]
    )
    entries[1] = (
        "\n".join(line for line in entries[1].splitlines() if not line.startswith("     ")) + "\n"
    )
    path = tmp_path / "x.dat"
    path.write_text("//\n".join(entries) + "//\n")
    first, broken, last = RecordSource(path=path).prepared()
    assert first.record.features
    assert "its sequence has 0 residues" in broken.fault
    assert broken.record is None
    assert (last.fault, last.text) == ("", last.record.sequence)

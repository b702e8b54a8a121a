"""The protein that explain takes from a FASTA file or an index."""

import argparse

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import property_texts
from protclip_jax.explain.protein import chosen_protein
from tests.support import searching


def chosen(accession=None, **source):
    given = dict.fromkeys(("sequence", "entry", "fasta", "index")) | source
    return chosen_protein(argparse.Namespace(accession=accession, **given))


def test_a_record_of_a_fasta_file(indexed, tmp_path):
    path = searching.write_fasta(tmp_path / "x.fasta", indexed.records)
    for accession in (indexed.records[3].accession, indexed.records[39].accession):
        record = chosen(accession, fasta=path)
        (own,) = [one for one in indexed.records if one.accession == accession]
        assert (record.sequence, record.name) == (own.sequence, own.name)
        assert list(property_texts(record)) == ["name"]
    with pytest.raises(UserError, match=r"has several proteins \(.*pass --accession"):
        chosen(fasta=path)
    with pytest.raises(UserError, match="no protein absent; check --fasta"):
        chosen("absent", fasta=path)
    (tmp_path / "one.fasta").write_text(">sp|P1|A_B Name OS=Org OX=9 GN=g\nMKV LLT\n")
    record = chosen(fasta=tmp_path / "one.fasta")
    assert (record.sequence, record.name, record.taxon) == ("MKVLLT", "Name", 9)
    assert chosen("P1", fasta=tmp_path / "one.fasta") == record


def test_an_item_of_an_index(indexed, tmp_path):
    own = indexed.records[5]
    record = chosen(own.accession, index=indexed.folder)
    assert (record.accession, record.sequence, record.name) == (
        own.accession,
        own.sequence,
        own.name,
    )
    with pytest.raises(UserError, match="many proteins; .* with --accession"):
        chosen(index=indexed.folder)
    with pytest.raises(UserError, match="no protein absent; check --accession"):
        chosen("absent", index=indexed.folder)
    with pytest.raises(UserError, match="omit it with --sequence"):
        chosen("P1", sequence="MKV")

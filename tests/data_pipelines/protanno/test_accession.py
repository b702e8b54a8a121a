"""UniProt accessions by their form."""

import pytest

from data_pipelines.protanno.accession import uniprot_accession


@pytest.mark.parametrize(
    ("id", "accession"),
    [
        ("P62258", "P62258"),
        ("sp|P62258|1433E_HUMAN", "P62258"),
        ("tr|A0A022YWF9|A0A022YWF9_9STAP", "A0A022YWF9"),
        ("P62258-2", "P62258"),
        ("sequence_1", None),
        ("P1", None),
        ("P62258/../x", None),
    ],
)
def test_accessions_are_known_by_their_form(id, accession):
    assert uniprot_accession(id) == accession

import numpy as np
import pytest

from data_pipelines.protanno.features import annotated_residues, feature_property, property_bits
from data_pipelines.protanno.record import Feature, Record
from data_pipelines.sample import families, generate


def test_planted_features_explain_the_property_they_were_planted_for():
    features = [
        feature for _, record, *_ in generate.generate(300, seed=0) for feature in record.features
    ]
    assert {feature.type for feature in features} == set(families.FEATURE_PROPERTY)
    for feature in features:
        assert feature_property(feature) == families.FEATURE_PROPERTY[feature.type], feature


@pytest.mark.parametrize(
    ("type_", "note", "expected"),
    [
        ("ACT_SITE", "Proton acceptor", "function"),
        ("SITE", "Transition state stabilizer", "function"),
        ("METAL", "Zinc", "function"),
        ("SIGNAL", "", "location"),
        ("TRANSMEM", "Helical; Name=1", "location"),
        ("MOTIF", "Nuclear localization signal", "location"),
        ("MOTIF", "DEAD box", "similarity"),
        ("DOMAIN", "Protein kinase", "similarity"),
        ("CHAIN", "Kinase X", None),
        ("CONFLICT", "", None),
    ],
)
def test_uniprot_features(type_, note, expected):
    assert feature_property(Feature(type_, 1, 2, note)) == expected


def test_positions_are_one_based_inclusive_and_united():
    features = (
        Feature("ACT_SITE", 2, 2),
        Feature("BINDING", 4, 5),
        Feature("SIGNAL", 1, 3),
        Feature("SITE", 6, 99),
    )
    record = Record("P", "", "swissprot", "MKVLWA", 1, "x", features=features)
    covered = annotated_residues(record)
    np.testing.assert_array_equal(covered["function"].nonzero()[0], [1, 3, 4, 5])
    np.testing.assert_array_equal(covered["location"].nonzero()[0], [0, 1, 2])
    assert "similarity" not in covered
    # Bit 1 is the function's, bit 2 the location's: their places in record.PROPERTIES.
    assert property_bits(record).tolist() == [4, 6, 4, 2, 2, 2]

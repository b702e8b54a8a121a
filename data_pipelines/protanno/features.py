"""Residues that a protein's features assign to a property: the ground truth for segments."""

import re

import numpy as np
from jaxtyping import Bool, UInt8

from data_pipelines.protanno.record import PROPERTIES, Feature, Record

TYPE_PROPERTY = {
    **dict.fromkeys(
        ("ACT_SITE", "BINDING", "CA_BIND", "DNA_BIND", "METAL", "NP_BIND", "SITE"), "function"
    ),
    **dict.fromkeys(("INTRAMEM", "LIPID", "SIGNAL", "TRANSIT", "TRANSMEM"), "location"),
    **dict.fromkeys(("DOMAIN", "MOTIF", "REPEAT", "ZN_FING"), "similarity"),
}
"""UniProt's `FT` types (including those from before 2020) → the property that they explain.

Types that explain none of the three properties, or cover most of a protein (CHAIN, TOPO_DOM), are
left out.
"""

NOTE_PROPERTY = {
    "MOTIF": (
        re.compile(r"signal|localization|targeting|sorting|retention|secretion", re.IGNORECASE),
        "location",
    ),
    "SITE": (re.compile(r"family", re.IGNORECASE), "similarity"),
}
"""Types whose note may assign the feature to a property other than the type's usual one."""


def feature_property(feature: Feature) -> str | None:
    """Returns the property a feature explains (`function`, `location`, `similarity`), or None."""
    pattern, special = NOTE_PROPERTY.get(feature.type, (None, None))
    if pattern is not None and pattern.search(feature.note):
        return special
    return TYPE_PROPERTY.get(feature.type)


def annotated_residues(record: Record) -> dict[str, Bool[np.ndarray, " L"]]:
    """Maps each property with features to a mask of the residues that they cover."""
    covered: dict[str, np.ndarray] = {}
    for feature in record.features:
        if name := feature_property(feature):
            residues = covered.setdefault(name, np.zeros(len(record.sequence), bool))
            residues[max(feature.start - 1, 0) : feature.end] = True
    return covered


def property_bits(record: Record) -> UInt8[np.ndarray, " L"]:
    """Encodes `annotated_residues` as bits: bit k marks residues of `record.PROPERTIES[k]`."""
    bits = np.zeros(len(record.sequence), np.uint8)
    for name, residues in annotated_residues(record).items():
        bits[residues] |= 1 << PROPERTIES.index(name)
    return bits

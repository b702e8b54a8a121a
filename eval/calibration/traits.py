"""Traits in which two proteins may agree according to their records.

A trait is a set of names; two sets agree if they overlap enough. A record without information about
a trait does not disagree: its pairs are not counted.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int
from scipy.sparse import csr_array

from data_pipelines.protanno.record import Record, ec_numbers, strip_evidence
from eval.baselines.bags import counted, words

_FAMILY = re.compile(r"[Bb]elongs to the ([^.;]*?family)")
_MOLECULE = re.compile(r"\[[^\]]*\]: ")
EC_LEVELS = 3
"""The number of levels of an EC number that must match: the reaction, not the substrate."""
COMMON_WORDS = frozenset(
    words(
        "a an and are as at be by for from in into is it its of on or that the this to with "
        "which protein putative probable "
        "uncharacterized domain containing family subunit like"
    )
)


class Trait(NamedTuple):
    """A trait: what a record says about it, and the share of both sets that must overlap.

    A share of 0 requires one common name.
    """

    name: str
    said: Callable[[Record], frozenset[str]]
    share: float
    meaning: str


def families(record: Record) -> frozenset[str]:
    """The families that the similarity text names, or the whole text if it names none."""
    text = strip_evidence(record.similarity)
    named = _FAMILY.findall(text) or ([text] if text else [])
    return frozenset(name.lower() for name in named)


def locations(record: Record) -> frozenset[str]:
    """The compartments: the part of each location before its first comma or semicolon."""
    text = _MOLECULE.sub("", strip_evidence(record.location).partition("Note=")[0])
    places = [re.split(r"[,;]", place)[0].strip(" .").lower() for place in text.split(". ")]
    return frozenset(filter(None, places))


def function_words(record: Record) -> frozenset[str]:
    """The words of name and function, without uninformative ones."""
    return frozenset(words(strip_evidence(f"{record.name} {record.function}"))) - COMMON_WORDS


def enzyme_classes(record: Record) -> frozenset[str]:
    """EC numbers cut to their first three levels; less exact ones are left out."""
    levels = [number.split(".")[:EC_LEVELS] for number in ec_numbers(record)]
    return frozenset(
        ".".join(parts) for parts in levels if len(parts) == EC_LEVELS and "-" not in parts
    )


def go_terms(record: Record) -> frozenset[str]:
    """The ids of GO terms."""
    return frozenset(record.go)


TRAITS = (
    Trait("family", families, 0.0, "a family in common"),
    Trait("function", function_words, 1 / 3, "a third of all words of both names and functions"),
    Trait("ec", enzyme_classes, 0.0, "an EC number in common, to its third level"),
    Trait("go", go_terms, 0.5, "half of all GO terms of both"),
    Trait("location", locations, 0.0, "a compartment in common"),
)


class Agreement(NamedTuple):
    """Which questions agree with which items, and for which pairs this is known."""

    agrees: Bool[np.ndarray, "q c"]
    known: Bool[np.ndarray, "q c"]


def agreement(trait: Trait, records: Sequence[Record], items: Sequence[Record]) -> Agreement:
    """Computes the agreement of all pairs of records."""
    numbers: dict[str, int] = {}
    own = [trait.said(record) for record in records]
    others = [trait.said(record) for record in items]
    for said in (*own, *others):
        for name in said:
            numbers.setdefault(name, len(numbers))
    first, second = (_rows(sets, numbers) for sets in (own, others))
    common = (first @ second.T).toarray()
    sizes = first.sum(axis=1), second.sum(axis=1)
    union = sizes[0][:, None] + sizes[1][None, :] - common
    known = (sizes[0][:, None] > 0) & (sizes[1][None, :] > 0)
    return Agreement((common > 0) & (common >= trait.share * union) & known, known)


def _rows(sets: Sequence[frozenset[str]], numbers: dict[str, int]) -> csr_array:
    rows = [_ids(said, numbers) for said in sets]
    return counted(rows, max(1, len(numbers)))


def _ids(said: frozenset[str], numbers: dict[str, int]) -> Int[np.ndarray, " _"]:
    return np.array(sorted(numbers[name] for name in said), np.int64)

"""What models are given of AAV capsids: ProtST's 200 residues."""

import json

import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from eval.data.manifest import load


@pytest.fixture
def variants():
    """Five capsids of 735 residues; the last has six inserted behind residue 588."""
    rng = np.random.default_rng(0)
    wild = rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 735)
    made = []
    for position in range(4):
        variant = wild.copy()
        variant[570 + position] = "W"
        made.append("".join(variant))
    return [*made, "".join([*wild[:588], *"GGGGGG", *wild[588:]])]


def folder(path, sequences, **entry):
    rows = [
        f"{seq},{place},{'test' if place > 2 else 'train'},False"
        for place, seq in enumerate(sequences)
    ]
    (path / "two_vs_many.csv").write_text("\n".join(["sequence,target,set,validation", *rows, ""]))
    entry = {"format": "flip", "file": "two_vs_many.csv"} | entry
    (path / "benchmarks.json").write_text(
        json.dumps({"aav": entry, "variants_aav": {"format": "assay"}})
    )
    return path


def given(path):
    task = load(path, "aav")
    return [
        sample.sequence for split in ("train", "test") for sample in task.splits[split]
    ], task.notes


def test_models_are_given_the_slice_of_protst(tmp_path, variants):
    sequences, notes = given(folder(tmp_path, variants))
    letters = np.array([list(f"{variant:<741}") for variant in variants])
    places = np.arange(474, 674)
    assert sequences == ["".join(row) for row in letters[:, places]]
    assert {len(sequence) for sequence in sequences} == {200}
    assert notes[-1] == "Models are given residues 475–674 of each protein."


def test_an_entry_may_have_another_region(tmp_path, variants):
    assert given(folder(tmp_path, variants, region=[1, 741]))[0] == variants
    assert given(folder(tmp_path, variants, region=[571, 572]))[0] == [
        variant[570:572] for variant in variants
    ]


def test_variants_are_scored_in_whole_proteins(tmp_path, variants):
    assay = load(folder(tmp_path, variants[:4]), "variants_aav")
    assert [len(one.wild_type) for one in assay.assays] == [735]


def test_sequences_that_were_cut_before_stay(tmp_path, variants):
    cut = [variant[474:674] for variant in variants]
    sequences, notes = given(folder(tmp_path, cut))
    assert sequences == cut
    assert notes[-1].startswith("No sequence has more than 200 residues")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"region": [474, 300]},
            r"aav.*region is \[474, 300\].*\[475, 674\]",
        ),
        ({"region": [0, 3]}, r"region is \[0, 3\]"),
        ({"region": "all"}, "region is 'all'"),
        (
            {"region": [736, 745]},
            "aav: line 2 has 735 residues.*736–745",
        ),
    ],
)
def test_regions_that_cannot_be(tmp_path, variants, entry, message):
    with pytest.raises(UserError, match=message):
        given(folder(tmp_path, variants, **entry))


def test_a_region_is_for_variants_of_one_protein(tmp_path):
    (tmp_path / "train.tsv").write_text("name\tsequence\ttarget\nA\tMK\t1\n")
    entry = {"format": "neutral", "train": "train.tsv", "region": [1, 2]}
    (tmp_path / "benchmarks.json").write_text(json.dumps({"stability": entry}))
    with pytest.raises(UserError, match="stability has a region, which only"):
        load(tmp_path, "stability")

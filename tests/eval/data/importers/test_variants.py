import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.substitutions import (
    ANOTHER_WILD_TYPE,
    NO_VARIANT,
    OUTSIDE,
    TWICE,
    Substitution,
    substitutions,
)
from eval.data.base.assembly import NO_NUMBER
from eval.data.base.audit import by_reason
from eval.data.importers import variants
from eval.data.importers.variants import read_variant_fasta, read_variant_table
from eval.data.importers.windows import ANOTHER_LENGTH, read_windows


def test_positions_count_from_where_they_are_said_to():
    assert substitutions("P20P", first_position=1) == [Substitution("P", 19, "P")]
    assert substitutions("A0D, K2*", first_position=0) == [
        Substitution("A", 0, "D"),
        Substitution("K", 2, "*"),
    ]
    assert substitutions("A0D;K2L", first_position=0) is None
    assert substitutions("", first_position=0) is None


def table(rows):
    return "variant\tnum_mutations\tscore\tscore_wt_norm\n" + "".join(
        f"{v}\t1\t{s}\t0\n" for v, s in rows
    )


def test_zero_based_variants(file):
    rows = [
        ("M0A", 1),
        ("K1V,V2L", 2),
        ("K1V,K1A", 3),
        ("A1V", 4),
        ("V9A", 5),
        ("what", 6),
        ("V2*", 7),
        ("V2A", "x"),
        ("L3C", 8),
    ]
    path, wild_type = file(table(rows)), file("MKVL\n", "wt.txt")
    task = read_variant_table(path, benchmark="fluorescence", wild_type=wild_type, first_position=0)
    assert [(s.name, s.sequence, s.target) for s in task.splits["train"]] == [
        ("M0A", "AKVL", 1.0),
        ("K1V,V2L", "MVLL", 2.0),
        ("L3C", "MKVC", 8.0),
    ]
    reasons = [TWICE, ANOTHER_WILD_TYPE, OUTSIDE, NO_VARIANT, variants.STOP, NO_NUMBER]
    assert [r.reason for r in task.rejects] == reasons
    assert [r.line for r in task.rejects] == [4, 5, 6, 7, 8, 9]


def test_a_stop_may_be_deleted_as_tape_does(file):
    path, wild_type = file(table([("K1*", 7), ("V2A,K1*", 8)])), file(">wt\nMK\nVL\n", "wt.fa")
    task = read_variant_table(
        path, benchmark="fluorescence", wild_type=wild_type, first_position=0, stop="delete"
    )
    assert [s.sequence for s in task.splits["train"]] == ["MVL", "MAL"]


def test_a_residue_without_a_token_is_read_as_everywhere(file):
    path, wild_type = file(table([("K1J", 7), ("V2B", 8)])), file("MKVL\n", "wt.txt")
    task = read_variant_table(path, benchmark="fluorescence", wild_type=wild_type, first_position=0)
    assert [s.sequence for s in task.splits["train"]] == ["MXVL", "MKBL"]
    assert task.notes == ("letters changed in sequences: 1 J, read as X",)


def test_the_wrong_first_position_is_noticed(file):
    path, wild_type = file(table([("K2V", 1), ("V3A", 2), ("L4C", 3)])), file("MKVL\n", "wt.txt")
    assert (
        len(
            read_variant_table(path, benchmark="aav", wild_type=wild_type, first_position=1).splits[
                "train"
            ]
        )
        == 3
    )
    with pytest.raises(UserError, match="3 of 3 variants .*wt.txt .*first_position"):
        read_variant_table(path, benchmark="aav", wild_type=wild_type, first_position=0)


@pytest.mark.parametrize(
    ("text", "wild_type", "options", "message"),
    [
        ("mutation,score\nA1C,1\n", "MK", {}, "has no column variant"),
        ("variant,effect\nA1C,1\n", "MK", {}, "has no column target or label or score"),
        (table([("M0A", 1)]), "", {}, "wt.txt holds 0 FASTA records"),
        (table([("M0A", 1)]), ">a\nMK\n>b\nMK\n", {}, "wt.txt holds 2 FASTA records"),
        (table([("M0A", 1)]), "M7", {}, "wt.txt holds 0 FASTA records"),
        (table([("M0A", 1)]), "MK", {"first_position": 2}, "first_position 0 or 1"),
        (table([("M0A", 1)]), "MK", {"stop": "keep"}, "stop reject or delete, not 0 and 'keep'"),
    ],
)
def test_other_variant_tables_are_refused(file, text, wild_type, options, message):
    given = {"wild_type": file(wild_type, "wt.txt"), "first_position": 0} | options
    with pytest.raises(UserError, match=message):
        read_variant_table(file(text), benchmark="fluorescence", **given)


VARIANTS = (
    ">0|beta-lactamase_K2K|1.1\nMKVL\n>1|beta-lactamase_K2A|0.5\nMAVL\n>2|beta-lactamase_V3A|0.4\nMKAL\n"
    ">3|beta-lactamase_L4C|x\nMKVC\n>4|beta-lactamase_L4C|0.1\nMKVL\n>5|beta-lactamase_L4F|0.2\nMRVF\n>6|what|1\nMK\n"
)


def test_fasta_headers_are_checked_against_their_sequences(file):
    task = read_variant_fasta(file(VARIANTS), benchmark="beta_lactamase")
    assert [(s.name, s.sequence, s.target) for s in task.splits["train"]] == [
        ("K2A", "MAVL", 0.5),
        ("V3A", "MKAL", 0.4),
    ]
    assert by_reason(task.rejects) == {
        variants.ANOTHER_SEQUENCE: 2,
        variants.SYNONYMOUS: 1,
        NO_VARIANT: 1,
        NO_NUMBER: 1,
    }
    kept = read_variant_fasta(file(VARIANTS), benchmark="beta_lactamase", synonymous="keep")
    assert [s.name for s in kept.splits["train"]] == ["K2K", "K2A", "V3A"]


def test_other_fasta_is_refused(file):
    with pytest.raises(UserError, match="'P62593'.* 0\\|beta-lactamase_P20P\\|1.58"):
        read_variant_fasta(file(">P62593\nMK\n"), benchmark="beta_lactamase")
    with pytest.raises(UserError, match="synonymous='no'"):
        read_variant_fasta(file(VARIANTS), benchmark="beta_lactamase", synonymous="no")


WINDOWS = "sequence,score\nKVLA,1\nKCLC,2\nRRRA,3\nKVLAA,4\nKVLA,x\n"


def test_windows_take_the_place_of_the_references(file):
    given = {
        "reference": file(">sp|P1|X\nMMKVLAMM\n", "ref.fa"),
        "window": [3, 6],
        "benchmark": "aav",
    }
    task = read_windows(file(WINDOWS), **given)
    assert [s.sequence for s in task.splits["train"]] == [
        "MMKVLAMM",
        "MMKCLCMM",
        "MMRRRAMM",
        "MMKVLAAMM",
    ]
    assert by_reason(task.rejects) == {NO_NUMBER: 1}
    task = read_windows(file(WINDOWS), train_substitutions=2, **given)
    assert list(task.splits) == ["train", "test"]
    assert [s.target for s in task.splits["train"]] == [1.0, 2.0]
    assert [s.target for s in task.splits["test"]] == [3.0]
    assert by_reason(task.rejects) == {NO_NUMBER: 1, ANOTHER_LENGTH: 1}


@pytest.mark.parametrize(
    ("text", "reference", "window", "message"),
    [
        (
            WINDOWS,
            "MMKVLAMM",
            [1, 4],
            "holds no variants of MMKV, the window in .*commonest residues are KVLA",
        ),
        (WINDOWS, "MMKVLAMM", [6, 12], r"aav: the window \[6, 12\].*ref.fa"),
        (WINDOWS, "MMKVLAMM", [3], r"aav: the window \[3\].*ref.fa"),
        (WINDOWS, "MMKVLAMM", ["3", 6], r"aav: the window \['3', 6\].*ref.fa"),
        ("sequence,score\n", "MMKVLAMM", [3, 6], "are of another length"),
        ("seq\nMK\n", "MMKVLAMM", [3, 6], "has no column target or label"),
    ],
)
def test_other_windows_are_refused(file, text, reference, window, message):
    with pytest.raises(UserError, match=message):
        read_windows(
            file(text), benchmark="aav", reference=file(reference, "ref.fa"), window=window
        )

import pytest

from data_pipelines.inputs.substitutions import (
    AMINO_ACIDS,
    ANOTHER_WILD_TYPE,
    NOT_STANDARD,
    OUTSIDE,
    TWICE,
    Substitution,
    differences,
    fitting_shift,
    scorable_fault,
    single_substitutions,
    substituted,
    substitutions,
    written,
)


def test_lists_are_read_and_written_in_any_numbering():
    changes = [Substitution("A", 0, "D"), Substitution("K", 2, "W")]
    for text, first in (("A1D:K3W", 1), ("A0D,K2W", 0), ("A24D, K26W", 24), ("A1D : K3W", 1)):
        assert substitutions(text, first_position=first) == changes
    assert written(changes, first_position=24) == "A24D:K26W"
    assert written(changes) == "A1D:K3W"
    assert substituted("ACK", changes) == "DCW"
    assert differences("ACK", "DCW") == tuple(changes)
    assert differences("ACK", "ACKK") is None
    for wrong in ("", "A", "A1", "1D", "A1D:", "A1D K3W", "Aˆ1D", "A1234567D"):
        assert substitutions(wrong, first_position=1) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A1D", ""),
        ("A4D", OUTSIDE),
        ("A0D", OUTSIDE),
        ("C1D", ANOTHER_WILD_TYPE),
        ("A1D:A1C", TWICE),
        ("A1X", NOT_STANDARD),
        ("A1*", NOT_STANDARD),
        ("X3A", NOT_STANDARD),
    ],
)
def test_what_does_not_fit_is_reported(text, reason):
    assert scorable_fault(substitutions(text, first_position=1), "ACX") == reason


def test_single_substitutions_are_all_of_them_once():
    variants = single_substitutions("AXCU")
    assert len(set(variants)) == len(variants) == 2 * 19
    assert {own[0].index for own in variants} == {0, 2}
    assert all(scorable_fault(own, "AXCU") == "" for own in variants)
    assert all(own[0].residue in AMINO_ACIDS != own[0].wild_type for own in variants)


def test_another_numbering_is_found_only_if_it_fits_all():
    sequence = "MKTAYIAKQR"
    numbered_from_24 = [substitutions(text, first_position=1) for text in ("K25A", "Y28F:I29V")]
    assert fitting_shift(numbered_from_24, sequence) == -23
    assert (
        fitting_shift([*numbered_from_24, substitutions("W30A", first_position=1)], sequence)
        is None
    )
    assert fitting_shift([], sequence) is None

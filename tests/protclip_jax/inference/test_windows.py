import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.inference.windows import Windows, piece_weights


@pytest.mark.parametrize("residues", [11, 12, 17, 18, 25, 100, 1000])
@pytest.mark.parametrize("overlap", [0, 1, 4, 9])
def test_windows_cover_everything_and_overlap_enough(residues, overlap):
    pieces = Windows(max_residues=10, overlap=overlap).pieces(residues)
    assert pieces[0].start == 0
    assert pieces[-1].stop == residues
    assert {piece.stop - piece.start for piece in pieces} == {10}
    shared = [before.stop - after.start for before, after in zip(pieces, pieces[1:], strict=False)]
    assert min(shared) >= overlap
    # One window fewer could not cover the protein with that overlap.
    assert (len(pieces) - 1) * (10 - overlap) + overlap < residues


def test_what_is_not_long_is_one_piece():
    assert Windows(max_residues=10, overlap=4).pieces(10) == [slice(0, 10)]
    assert Windows("whole", max_residues=10, overlap=4).pieces(99) == [slice(0, 99)]
    assert Windows("truncate", max_residues=10, overlap=4).pieces(99) == [slice(0, 10)]


@pytest.mark.parametrize("residues", [5, 10, 23, 61])
def test_weights_count_every_residue_and_special_token_once(residues):
    pieces = Windows(max_residues=10, overlap=4).pieces(residues)
    weights = piece_weights(pieces)
    counted = np.zeros(residues)
    for piece, weight in zip(pieces, weights, strict=True):
        assert len(weight) == piece.stop - piece.start + 2
        counted[piece] += weight[1:-1]
    np.testing.assert_allclose(counted, 1, rtol=1e-6)
    np.testing.assert_allclose(sum(weight[0] for weight in weights), 1, rtol=1e-6)
    np.testing.assert_allclose(sum(weight[-1] for weight in weights), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "guess"}, "'guess'"),
        ({"max_residues": 0}, "max_residues=0"),
        ({"overlap": 1022}, "overlap=1022"),
    ],
)
def test_impossible_windows_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Windows(**options)

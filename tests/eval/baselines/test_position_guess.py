import numpy as np

from eval.baselines.position_guess import NEAR, fit_positions, places


def test_places_count_from_the_nearer_end():
    assert places(5).tolist() == [0, 1, 2, 2 * NEAR - 1, 2 * NEAR]
    assert places(4).tolist() == [0, 1, 2 * NEAR - 1, 2 * NEAR]
    long = places(2 * NEAR + 3)
    assert long[:NEAR].tolist() == list(range(NEAR))
    assert long[NEAR : NEAR + 3].tolist() == [NEAR] * 3
    assert long[NEAR + 3 :].tolist() == list(range(NEAR + 1, 2 * NEAR + 1))


def test_the_most_frequent_residue_at_each_place():
    guess = fit_positions(["MKLLE", "MRLLE", "MKAAD"])
    assert guess.at(np.ones(5, bool)).tobytes() == b"MKLLE"
    assert guess.at(np.array([True, False, False, False, True])).tobytes() == b"ME"
    # Nothing is known of the middle of longer proteins: the most frequent residue of all.
    assert guess.at(np.arange(2 * NEAR + 1) == NEAR).tobytes() == b"L"

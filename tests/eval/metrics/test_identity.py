import numpy as np

from eval.metrics import accuracy, by_identity


def test_points_hold_the_rows_at_or_below_each_cutoff():
    identities = np.array([0.30, 0.95, 0.50, 1.0, 0.30, np.nan])
    labels, predicted = np.zeros(6, int), np.array([0, 1, 1, 0, 1, 0])
    points = by_identity(accuracy, identities, predicted, labels)
    assert [point.cutoff for point in points] == [0.30, 0.40, 0.50, 0.70, 0.95]
    assert [point.rows for point in points] == [2, 2, 3, 3, 4]
    np.testing.assert_allclose(
        [point.value for point in points], [1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 4]
    )


def test_a_cutoff_without_rows_has_no_value():
    points = by_identity(accuracy, np.array([None, 0.7], float), np.zeros(2), np.zeros(2))
    assert [point.rows for point in points] == [0, 0, 0, 1, 1]
    assert np.isnan(points[0].value)
    assert points[-1].value == 1.0

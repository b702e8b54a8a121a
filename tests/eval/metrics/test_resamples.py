import numpy as np

from eval.metrics.resamples import resamples_of, write_resamples
from eval.metrics.statistics import Interval, bootstrap_interval, mean_interval


def test_resamples_of_a_result_are_those_of_its_intervals(tmp_path):
    values = np.arange(20.0)
    own, other = bootstrap_interval(values), bootstrap_interval(values**2)
    result = {
        "mrr": {"mean": 1.0, "interval": mean_interval([own, other])},
        "by": {"bfs": {"auroc_interval": own}},
    }
    write_resamples(
        tmp_path / "one.npz", resamples_of(result | {"none": Interval((0, 1)), "list": [own]})
    )
    with np.load(tmp_path / "one.npz") as arrays:
        assert set(arrays) == {"mrr/interval", "by/bfs/auroc_interval"}
        np.testing.assert_allclose(arrays["by/bfs/auroc_interval"], own.resamples, rtol=1e-6)
        np.testing.assert_allclose(
            arrays["mrr/interval"], (own.resamples + other.resamples) / 2, rtol=1e-6
        )
    write_resamples(tmp_path / "none.npz", {})
    write_resamples(tmp_path / "again.npz", resamples_of(result))
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "one.npz").read_bytes()
    assert not (tmp_path / "none.npz").exists()


def test_the_mean_of_an_undefined_interval_is_undefined():
    mean = mean_interval([bootstrap_interval(np.arange(9.0)), bootstrap_interval(np.ones(1))])
    assert np.isnan(mean).all()
    assert not mean.resamples.size

"""The benchmark of annotate: medians of the runs, and the limits on time and memory."""

import pytest

from benchmarks.annotate import Run, result_of, run, table_of
from data_pipelines.common.errors import RunError


def runs(*seconds, peak=1.0):
    return [Run(value, 2 * value, peak) for value in seconds]


def test_medians_and_ratios():
    result = result_of({"embed": runs(10, 30, 20), "annotate": runs(22, 90, 24, peak=1.5)})
    assert result["ratio"] == pytest.approx(24 / 20)
    assert result["processor_ratio"] == pytest.approx(48 / 40)
    assert result["kept"] is True
    assert "| annotate | 24.0 | 48.0 | 1.50 |" in table_of(result)


@pytest.mark.parametrize(("seconds", "peak"), [(12.6, 1.0), (10.0, 2.1)])
def test_a_limit_that_is_passed_is_reported(seconds, peak):
    result = result_of({"embed": runs(10), "annotate": runs(seconds, peak=peak)})
    assert result["kept"] is False


def test_a_command_that_fails_is_one_sentence():
    with pytest.raises(RunError, match=r"cli ended with code 2: .*nothing"):
        run("cli", ["nothing"])

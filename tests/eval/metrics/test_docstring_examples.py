"""The examples in the metrics' docstrings run and print what they show."""

import doctest
import importlib

import pytest

WITH_EXAMPLES = (
    "eval.metrics.classification",
    "eval.metrics.comparison",
    "eval.metrics.multilabel",
    "eval.metrics.ranking",
    "eval.metrics.regression",
    "eval.metrics.statistics",
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_docstring_examples_run(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0

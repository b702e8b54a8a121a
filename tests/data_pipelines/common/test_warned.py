"""Warnings that commands tell as sentences."""

import warnings

import pytest

from data_pipelines.common.warned import warnings_as_sentences


def test_a_warning_is_one_sentence_reported_once_without_its_place(capsys):
    with warnings_as_sentences():
        for _ in range(2):
            warnings.warn("the table is old.", stacklevel=1)
    assert capsys.readouterr().err == "the table is old.\n"


def test_other_warnings_are_not_lost():
    with pytest.warns(FutureWarning, match="soon"), warnings_as_sentences():
        warnings.warn("soon", FutureWarning, stacklevel=1)

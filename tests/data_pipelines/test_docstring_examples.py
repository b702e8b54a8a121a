"""The examples in docstrings of the public functions run and give what they show."""

import doctest
import importlib

import pytest

MODULES = (
    "inputs.labels",
    "inputs.mutation_file",
    "inputs.protein_input",
    "inputs.substitutions",
    "protanno.dataset",
    "protanno.record",
    "readers",
    "readers.enzyme",
    "readers.fasta",
    "readers.fasta_header",
    "readers.hits",
    "readers.obo",
    "readers.streams.files",
    "readers.table",
    "readers.text_lines",
    "tokenizers.protein_tokenizer",
    "tokenizers.text_tokenizer",
    "training.sampling",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name):
    failed, tried = doctest.testmod(importlib.import_module(f"data_pipelines.{name}"))
    assert tried > 0
    assert failed == 0

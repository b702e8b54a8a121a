"""The examples in docstrings of networks and objectives run and give what they show."""

import doctest
import importlib

import pytest

MODULES = (
    "attention",
    "models.bert",
    "models.cross_attention",
    "models.esm2",
    "models.heads",
    "models.initialize",
    "models.layers",
    "models.logit_scale",
    "models.protclip",
    "objectives.config",
    "objectives.feature_alignment",
    "objectives.global_contrastive",
    "objectives.info_nce",
    "objectives.late_interaction",
    "objectives.masked_language_model",
    "objectives.matryoshka",
    "objectives.mean",
    "objectives.segment_alignment",
    "objectives.segment_reconstruction",
    "objectives.sigmoid_contrast",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name):
    failed, tried = doctest.testmod(importlib.import_module(f"protclip_jax.{name}"))
    assert tried > 0
    assert failed == 0

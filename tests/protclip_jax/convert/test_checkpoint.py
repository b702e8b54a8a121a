"""The config that is stored with converted weights."""

import pytest

from protclip_jax.config.checks import check_present, require_model
from protclip_jax.convert.checkpoint import converted_config

ENCODER = {"num_layers": 1, "hidden_size": 8, "num_heads": 2, "intermediate_size": 16}


def test_objectives_are_the_papers_and_execution_is_plain():
    config = converted_config(ENCODER, {**ENCODER, "max_positions": 512}, projection_dim=16)
    assert config == {
        "model": {
            "protein": ENCODER,
            "text": {**ENCODER, "max_positions": 512},
            "projection_dim": 16,
            "num_prototypes": 512,
            "prototype_temperature": 0.9,
            "dtype": "float32",
            "attention": "blockwise",
            "remat": "none",
        },
        "tokenizer": {
            "max_protein_tokens": 1024,
            "max_text_tokens": 512,
            "crop_ends": True,
            "names": "recommended",
            "property_subset": 0.0,
        },
        "masking": {"passes": "separate"},
        "loss": {
            "gc": 1.0,
            "bsr": 0.7,
            "mlm": 0.3,
            "pda": 1.0,
            "features": 0.0,
            "sigmoid": 0.0,
            "matryoshka": 0.0,
            "mask_duplicates": False,
        },
        "pda": {
            "theta": 0.3,
            "negatives": "within_record",
            "pooling": "segment",
            "text_gradient": False,
            "prototypes": True,
            "mask_prefix": False,
        },
    }
    check_present(config, name="the config")
    require_model(config, "model.protein", "model.text", name="the config")


@pytest.mark.parametrize(("positions", "limit"), [(100, 100), (512, 512), (1000, 512)])
def test_texts_are_no_longer_than_the_table_of_positions(positions, limit):
    config = converted_config(None, {**ENCODER, "max_positions": positions})
    assert config["tokenizer"]["max_text_tokens"] == limit


def test_a_conversion_does_not_change_the_next():
    first = converted_config(ENCODER, None)
    first["loss"]["gc"] = 3.0
    first["tokenizer"]["max_text_tokens"] = 3
    assert converted_config(ENCODER, None)["loss"]["gc"] == 1.0
    assert converted_config(ENCODER, None)["tokenizer"]["max_text_tokens"] == 512

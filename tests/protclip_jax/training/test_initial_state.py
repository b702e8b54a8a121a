"""States from a checkpoint, including parameters that training would change at once."""

import copy
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints import metadata
from protclip_jax.checkpoints.parameters import save_params
from protclip_jax.training.initial_state import check_init, replace_from_checkpoints, restored_state
from protclip_jax.training.optimizer import flatten, unflatten
from protclip_jax.training.train_state import TrainState
from tests.support import tiny


def test_a_restored_scale_is_100_at_most():
    flat = jax.tree.map(jnp.asarray, flatten(tiny.params()))
    optimizer = optax.adam(1e-3)
    state = TrainState(jnp.int32(0), flat, {}, optimizer.init(flat))
    stored = flat | {"segment_logit_scale/log": jnp.float32(7.0)}

    def restore(step, *, params, optimizer, data):
        assert step == 5
        return unflatten(stored), state.optimizer, data

    restored, _ = restored_state(types.SimpleNamespace(restore=restore), 5, state, {})
    assert int(restored.step) == 5
    scale = np.exp(restored.trainable["segment_logit_scale/log"])
    np.testing.assert_allclose(scale, 100.0, rtol=1e-6)


def test_a_run_with_the_sigmoid_contrast_begins_from_a_checkpoint_without_it(tmp_path):
    tiny.save(tmp_path, tiny.CONFIG)
    inits = {"all": str(tmp_path), "protein": None, "text": None}
    tokenizer = {"text": str(tmp_path / "tokenizers" / "text")}
    config = {"init": inits, "model": tiny.CONFIG["model"], "tokenizer": tokenizer}
    fresh = jax.tree.map(lambda x: jnp.zeros_like(x) - 10.0, flatten(tiny.sigmoid_params()))
    replaced = replace_from_checkpoints(fresh, config)
    for path, leaf in flatten(tiny.params()).items():
        np.testing.assert_array_equal(replaced.pop(path), leaf)
    assert replaced == {"sigmoid_scale/log": -10, "sigmoid_bias/bias": -10}


@pytest.fixture
def config(tmp_path):
    """The tiny model's config, with its checkpoint in `run` and another vocabulary in `words`."""
    tiny.save(tmp_path / "run", tiny.CONFIG)
    tokenizer = tiny.text_tokenizer()
    type(tokenizer)([*tokenizer.vocabulary, "more"]).save(tmp_path / "words")
    of_run = {"text": str(tmp_path / "run" / "tokenizers" / "text")}
    inits = {"all": None, "protein": None, "text": None}
    return {"init": inits, "model": copy.deepcopy(tiny.CONFIG["model"]), "tokenizer": of_run}


def test_all_that_does_not_fit_is_reported_at_once(config, tmp_path):
    config["model"]["protein"] |= {"num_layers": 5, "layer_norm_eps": 1e-3}
    config["model"]["text"] |= {"hidden_size": 64}
    config["model"]["num_prototypes"] = 9
    config["tokenizer"]["text"] = str(tmp_path / "words")
    of_protein = "--config.model.protein.num_layers=2 --config.model.protein.layer_norm_eps=1e-05"
    of_text = (
        f"--config.model.text.hidden_size=32 --config.tokenizer.text={tmp_path}/run/tokenizers/text"
    )
    run = str(tmp_path / "run")
    with pytest.raises(UserError) as refused:
        check_init(config | {"init": {"all": run, "protein": None, "text": None}})
    said = str(refused.value)
    assert f"init.all={run} " in said
    assert f" --config.model.num_prototypes=8 {of_protein} {of_text}, or" in said
    with pytest.raises(UserError) as refused:
        check_init(config | {"init": {"all": None, "protein": run, "text": run}})
    protein, text = str(refused.value).split("init.text=")
    assert f"init.protein={run} " in protein
    assert f" {of_protein}, or" in protein
    assert f" {of_text}, or" in text
    with pytest.raises(UserError, match=r"/nowhere .*; init\.text="):
        check_init(config | {"init": {"all": None, "protein": f"{tmp_path}/nowhere", "text": run}})


def test_what_fits_is_not_refused(config, tmp_path):
    run = str(tmp_path / "run")
    for init in (
        {"all": run, "protein": None, "text": None},
        {"all": None, "protein": run, "text": run},
    ):
        check_init(config | {"init": init})


def test_weights_of_towers_alone_are_not_all(config, tmp_path):
    towers = {name: tiny.params()[name] for name in ("protein", "text")}
    metadata.write_metadata(tmp_path / "towers", tiny.CONFIG, tiny.text_tokenizer())
    save_params(tmp_path / "towers", towers)
    flat = flatten(tiny.params())
    absent = (
        r"init\.all=.*/towers .* bsr_head, .*, only protein, text; .*init\.protein or init\.text"
    )
    with pytest.raises(UserError, match=absent):
        replace_from_checkpoints(
            flat, config | {"init": {"all": f"{tmp_path}/towers", "protein": None, "text": None}}
        )


def test_a_run_does_not_begin_with_nan(config, tmp_path):
    broken = flatten(tiny.params())
    broken["text/embedding_norm/bias"] = broken["text/embedding_norm/bias"] * jnp.nan
    metadata.write_metadata(tmp_path / "broken", tiny.CONFIG, tiny.text_tokenizer())
    save_params(tmp_path / "broken", unflatten(broken))
    inits = {"all": None, "protein": None, "text": f"{tmp_path}/broken"}
    with pytest.raises(UserError, match="text/embedding_norm/bias .*NaN or infinity"):
        replace_from_checkpoints(flatten(tiny.params()), config | {"init": inits})
    replace_from_checkpoints(
        flatten(tiny.params()), config | {"init": inits | {"protein": inits["text"], "text": None}}
    )

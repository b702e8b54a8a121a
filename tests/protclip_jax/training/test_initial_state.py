"""A state from a checkpoint: parameters that training would not leave as they are."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import optax

from protclip_jax.training.initial_state import replace_from_checkpoints, restored_state
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

"""Gradients of a run that are excluded from those of the network."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.training import run_gradients
from protclip_jax.training.train_state import TrainState
from protclip_jax.training.train_step import make_gradient_norms
from tests.support import tiny

STACK, HEAD = "protein/layers/qkv/kernel", "head/kernel"
CONFIG = {
    "optimizer": {"groups": (("^protein/", ("last", 2)), (".", 1.0))},
    "batch": {"microbatch_rows": None},
    "lora": {"rank": 0},
}


def test_layers_that_are_frozen_have_no_part_in_gradients_and_norms(monkeypatch):
    params = {STACK: jnp.ones((3, 2, 2)), HEAD: jnp.ones(2)}
    of_network = {
        STACK: jnp.array([np.nan, 3.0, -4.0])[:, None, None] * params[STACK],
        HEAD: params[HEAD],
    }
    monkeypatch.setattr(
        run_gradients,
        "make_loss_and_gradients",
        lambda *_: lambda trainable, frozen, batch: (1.0, {}, of_network),
    )
    state = TrainState(jnp.int32(0), params, {}, optax.EmptyState())

    def gradients_of(objective):
        return run_gradients.make_run_gradients(tiny.model(), state, ConfigDict(CONFIG), objective)

    _, _, gradients = gradients_of(ObjectiveConfig())(params, {}, None)
    np.testing.assert_array_equal(gradients[STACK][:, 0, 0], [0.0, 3.0, -4.0])
    np.testing.assert_array_equal(gradients[HEAD], of_network[HEAD])
    norms = make_gradient_norms(gradients_of, ObjectiveConfig())(state, None)
    for norm in jax.tree.leaves(norms):
        # 4 · 3² + 4 · 4² + 2
        np.testing.assert_allclose(norm, np.sqrt(102), rtol=1e-6)

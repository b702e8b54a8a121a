"""A step that is not finite: its effects, the records reported, and the norms per objective."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from data_pipelines.common.errors import RunError
from data_pipelines.tokenizers import protein_tokenizer
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.training.faults import Faults, finite_slots
from protclip_jax.training.gradients import make_loss_and_gradients
from protclip_jax.training.optimizer import flatten, unflatten
from protclip_jax.training.train_state import TrainState
from protclip_jax.training.train_step import make_gradient_norms, make_train_step, skipped_steps
from tests.support import tiny

BAD = {"protein": 1, "text": 4}
"""The records whose sequence contains a U and whose biotext contains a ~."""


@pytest.fixture(scope="module")
def batch():
    """Six records in two rows, and two empty rows; two records contain a poisoned token."""
    records = tiny.records(6)
    records[BAD["protein"]] = dataclasses.replace(
        records[BAD["protein"]], sequence="MKUTAYIAKQRQISF"
    )
    records[BAD["text"]] = dataclasses.replace(records[BAD["text"]], name="a~b")
    a, b, c, d, e, f = tiny.examples(records)
    return tiny.pack([[a, b, c], [], [d, e, f], []])


@pytest.fixture(scope="module")
def poisoned():
    """Flattened parameters with NaN in the embeddings of both tokens."""
    flat = {path: np.array(leaf) for path, leaf in flatten(tiny.params()).items()}
    flat["protein/token_embedding/embedding"][protein_tokenizer.VOCABULARY.index("U")] = np.nan
    flat["text/token_embedding/embedding"][tiny.text_tokenizer().encode("~")[1]] = np.nan
    return flat


def test_the_records_to_blame_are_found_and_no_others(batch, poisoned):
    finite_slots_of = jax.jit(functools.partial(finite_slots, tiny.model()))
    finite = np.asarray(finite_slots_of(unflatten(poisoned), batch))
    assert finite.shape == batch.slot_mask.shape
    assert np.argwhere(~finite).tolist() == [[0, 1], [2, 1]]
    assert np.asarray(finite_slots_of(tiny.params(), batch)).all()


@pytest.fixture(scope="module")
def compiled():
    optimizer = optax.adam(1e-3)
    state = start(optimizer, flatten(tiny.params()))
    return optimizer, make_train_step(
        make_loss_and_gradients(tiny.model(), ObjectiveConfig()), optimizer, state
    )


def start(optimizer, flat):
    # Copies, because the step donates the state.
    trainable = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), flat)
    return TrainState(jnp.int32(0), trainable, {}, optimizer.init(trainable))


def test_a_step_that_is_not_finite_changes_nothing_but_its_count(batch, poisoned, compiled):
    optimizer, step = compiled
    state, metrics = step(start(optimizer, poisoned), batch)
    assert not metrics["finite"]
    jax.tree.map(
        np.testing.assert_array_equal,
        (state.trainable, state.optimizer),
        start(optimizer, poisoned)[1::2],
    )
    assert (int(state.step), skipped_steps(state)) == (1, 1)
    good, metrics = step(start(optimizer, flatten(tiny.params())), batch)
    assert metrics["finite"]
    assert skipped_steps(good) == 0
    assert any(
        (good.trainable[path] != leaf).any() for path, leaf in flatten(tiny.params()).items()
    )


def test_a_step_keeps_scales_in_bounds_and_reports_the_one_it_used(batch):
    # Just below ln 100, so that a large step passes it.
    flat = flatten(tiny.params()) | {"logit_scale/log": jnp.float32(4.6)}
    optimizer = optax.sgd(-1e4)
    # The scale of the global contrast.
    loss = make_loss_and_gradients(tiny.model(), ObjectiveConfig(bsr=0.0, mlm=0.0, pda=0.0))
    step = make_train_step(loss, optimizer, start(optimizer, flat))
    gradient = jax.jit(loss)(flat, {}, batch)[2]["logit_scale/log"]
    assert gradient > 1e-5
    state, metrics = step(start(optimizer, flat), batch)
    np.testing.assert_allclose(metrics["scalars"]["logit_scale"], np.exp(4.6), rtol=1e-6)
    np.testing.assert_allclose(np.exp(state.trainable["logit_scale/log"]), 100.0, rtol=1e-6)


def test_the_norm_of_each_objective_is_that_of_its_weighted_loss(batch, compiled):
    optimizer, _ = compiled
    objective = ObjectiveConfig(gc=0.0, bsr=0.0, mlm=0.3, pda=0.5)
    state = start(optimizer, flatten(tiny.params()))
    gradients_of = functools.partial(make_loss_and_gradients, tiny.model())
    norms = make_gradient_norms(gradients_of, objective)(state, batch)
    assert norms.keys() == {"mlm", "pda"}

    def gradient(trainable, objective):
        return jax.jit(make_loss_and_gradients(tiny.model(), objective))(trainable, {}, batch)[2]

    for name, norm in norms.items():
        alone = gradient(
            state.trainable,
            ObjectiveConfig(**{other: float(other == name) for other in objective.weights}),
        )
        squares = sum(float((np.asarray(leaf, np.float64) ** 2).sum()) for leaf in alone.values())
        # A gradient is linear in the weight.
        np.testing.assert_allclose(norm, objective.weights[name] * np.sqrt(squares), rtol=1e-4)


def test_a_run_that_has_skipped_too_many_steps_does_not_go_on(tmp_path, compiled, batch, poisoned):
    """If its last step was saved, only the state's count shows that too many were skipped."""
    optimizer, step = compiled
    state, _ = step(start(optimizer, poisoned), batch)
    with pytest.raises(
        RunError,
        match=r"skipped 1 steps, .*max_skipped_steps is 0.*faults",
    ):
        Faults(tmp_path, tiny.model(), state, None, limit=0)

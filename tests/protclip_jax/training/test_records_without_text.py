"""Records without text train masked language modelling and nothing else."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from data_pipelines.protanno.record import Feature
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.training.forward import contrast, forward_pass, gumbel_noise
from protclip_jax.training.gradients import make_loss_and_gradients
from protclip_jax.training.optimizer import flatten
from tests.support import tiny

FEATURES = (Feature("ACT_SITE", 2, 4), Feature("SIGNAL", 1, 3), Feature("DOMAIN", 5, 9))
OURS = {"features": 0.3, "negatives": "late_interaction", "pooling": "residue", "prototypes": False}
OBJECTIVES = {
    "paper": ObjectiveConfig(masked_passes="shared"),
    "ours": ObjectiveConfig(
        **OURS, sigmoid=1.0, matryoshka=1.0, widths=(4,), masked_passes="shared"
    ),
}


@pytest.fixture(scope="module")
def examples():
    """Four examples with text, then three without; all have features."""
    made = [dataclasses.replace(record, features=FEATURES) for record in tiny.records(7)]
    bare = dict.fromkeys(("name", "function", "location", "similarity"), "")
    made[4:] = [dataclasses.replace(record, **bare) for record in made[4:]]
    return tiny.examples(made, passes="shared")


@functools.cache
def compiled(objective):
    model = tiny.model()

    def run(params, batch):
        noise = gumbel_noise(batch.noise_seeds, model.config.num_prototypes)
        embeddings, found = forward_pass(model, params, batch, objective, noise)
        return found | contrast(model, params, embeddings, batch, objective)

    return jax.jit(run)


def losses(objective, batch):
    params = tiny.sigmoid_params() if objective.sigmoid else tiny.params()
    return compiled(objective)(params, batch)


def test_an_example_without_text_has_residues_to_predict_and_no_segments(examples):
    for example in examples[4:]:
        assert example.text_length == 0
        assert not example.text_hashes.any()
        assert example.mlm_mask.any()
        assert not example.segment_mask.any()
    assert all(example.segment_mask.any() for example in examples[:4])
    batch = tiny.pack([examples[:4], examples[4:]])
    assert batch.slot_mask.sum(axis=1).tolist() == [4, 3]
    assert batch.described.sum(axis=1).tolist() == [4, 0]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_they_change_no_loss_but_that_of_masked_residues(examples, name):
    objective = OBJECTIVES[name]
    first, second, bare = examples[:2], examples[2:4], examples[4:]
    without = losses(objective, tiny.pack([first, second]))
    among = losses(objective, tiny.pack([[*first, bare[0]], [bare[1], *second, bare[2]]]))
    alone = losses(objective, tiny.pack([bare, []]))
    assert set(among) == set(objective.weights)
    for key in set(objective.weights) - {"mlm"}:
        assert without[key].count > 0
        np.testing.assert_allclose(among[key].count, without[key].count)
        np.testing.assert_allclose(among[key].sum, without[key].sum, rtol=2e-5)
        assert alone[key].count == alone[key].sum == 0
    assert alone["mlm"].count == sum(example.mlm_mask.sum() for example in bare)
    np.testing.assert_allclose(among["mlm"].count, without["mlm"].count + alone["mlm"].count)
    np.testing.assert_allclose(among["mlm"].sum, without["mlm"].sum + alone["mlm"].sum, rtol=2e-5)


def test_their_gradient_is_that_of_masked_residues(examples):
    batch = tiny.pack([examples[4:], []])

    def gradients(objective):
        compute = jax.jit(make_loss_and_gradients(tiny.model(), objective))
        total, _, found = compute(flatten(tiny.params()), {}, batch)
        return float(total), jax.device_get(found)

    total, all_objectives = gradients(OBJECTIVES["paper"])
    masked = dataclasses.replace(OBJECTIVES["paper"], gc=0.0, bsr=0.0, pda=0.0)
    alone, masked_only = gradients(masked)
    assert np.isfinite(total)
    np.testing.assert_allclose(total, alone, rtol=1e-6)
    for path, gradient in all_objectives.items():
        np.testing.assert_allclose(gradient, masked_only[path], atol=1e-6, err_msg=path)

"""Losses on held-out records: those of training on the same records, on any number of devices."""

import json

import jax
import numpy as np
import pytest

from data_pipelines.training.examples import encode_example
from data_pipelines.training.masking import MASKS
from protclip_jax import ProtCLIP
from protclip_jax.config.build import objective_config
from protclip_jax.config.schema import completed
from protclip_jax.distributed import sharding
from protclip_jax.training.gradients import make_loss_and_gradients
from protclip_jax.training.optimizer import flatten
from tests.support import tiny

SHAPE = {"slots": 4, "protein_tokens": 128, "text_tokens": 256}


def config(**pda):
    options = {"theta": 0.3, "negatives": "across_records", **pda}
    return {**tiny.CONFIG, "batch": SHAPE, "pda": options}


def model(config, devices=None):
    mesh = sharding.make_mesh(-1, 1, devices=devices)
    return ProtCLIP(tiny.model(), tiny.params(), tiny.text_tokenizer(), config=config, mesh=mesh)


@pytest.fixture(scope="module")
def made():
    return tiny.records(11, seed=5)


def test_they_are_the_losses_of_training(made):
    # Without prototypes there is no noise in training either.
    described = config(prototypes=False)
    found = model(described).losses(made)
    examples = []
    for draw, record in enumerate(made):
        example = encode_example(
            record,
            seed=0,
            draw=draw,
            text_tokenizer=tiny.text_tokenizer(),
            masks=MASKS["separate"],
            max_text_tokens=64,
        )
        examples.append(example)
    batch = tiny.pack([examples[:3], examples[3:4], [], examples[4:8], examples[8:]], **SHAPE)
    objective = objective_config(completed(described))
    training = jax.jit(make_loss_and_gradients(tiny.model(), objective))
    total, losses, _ = training(flatten(tiny.params()), {}, batch)
    assert found.keys() == {"total", "gc", "bsr", "mlm", "pda"}
    np.testing.assert_allclose(found["total"], total, rtol=1e-5)
    for name, loss in losses.items():
        assert loss.count > 0
        np.testing.assert_allclose(found[name], loss.sum / loss.count, rtol=1e-5, err_msg=name)


def test_a_config_may_come_from_json(made):
    described = config(prototypes=False)
    stored = json.loads(json.dumps(completed(described)))
    assert model(stored).losses(made) == model(described).losses(made)


def test_they_do_not_depend_on_the_devices_and_have_no_noise(made):
    described = config(prototypes=True)
    alone = model(described, devices=jax.devices()[:1]).losses(made)
    together = model(described).losses(made)
    assert model(described).losses(made) == together
    for name, loss in alone.items():
        np.testing.assert_allclose(together[name], loss, rtol=1e-5, err_msg=name)

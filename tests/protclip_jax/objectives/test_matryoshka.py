import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import protclip_650m
from data_pipelines.common.errors import UserError
from protclip_jax.config.build import objective_config
from protclip_jax.config.checks import check
from protclip_jax.objectives.matryoshka import Matryoshka, matryoshka_contrastive
from tests.support import numpy_reference as reference
from tests.support.pairs import (
    DUPLICATES,
    NUM_SLOTS,
    RECORDS,
    SLOTS,
    WIDTH,
    placed,
    random_inputs,
    without_hashes,
)

WIDTHS, SHARES = (2, 3, 6), (1.0, 0.5, 2.0)


@functools.partial(jax.jit, static_argnames=("mask_duplicates", "chunk"))
def value_and_gradients(x, slots, *, mask_duplicates, chunk):
    def loss(x):
        pairs = placed(x, slots)
        options = {
            "mask_duplicates": mask_duplicates,
            "chunk": chunk,
            "logit_scale": x["logit_scale"],
        }
        mean = matryoshka_contrastive(
            pairs, pairs, widths=WIDTHS, shares=SHARES, first=0, **options
        )
        return mean.sum, mean.count

    return jax.value_and_grad(loss, has_aux=True)(x)


@pytest.mark.parametrize("duplicates", [(), DUPLICATES], ids=["all", "duplicates_masked"])
@pytest.mark.parametrize("chunk", [0, 3], ids=["at_once", "chunks"])
def test_equals_the_formula_in_value_and_gradient(duplicates, chunk):
    x = random_inputs(0)
    direction = jax.tree.map(lambda a: np.random.default_rng(1).normal(size=np.shape(a)), x)

    def expected(x):
        embedded = x["protein"], x["text"]
        return reference.matryoshka(*embedded, WIDTHS, SHARES, x["logit_scale"], duplicates)

    options = {"mask_duplicates": bool(duplicates), "chunk": chunk}
    slots = np.array(SLOTS["permuted_with_gaps"])
    (total, count), gradient = value_and_gradients(jax.tree.map(np.float32, x), slots, **options)
    assert float(count) == RECORDS
    np.testing.assert_allclose(total, expected(x), rtol=1e-5)
    slope = sum(np.vdot(gradient[name], direction[name]) for name in x)
    wanted = reference.directional_derivative(expected, x, direction)
    np.testing.assert_allclose(slope, wanted, rtol=1e-4)
    assert not gradient["protein"][:, max(WIDTHS) :].any()


@pytest.mark.parametrize("slots", [[], [4], [1, 4, 7]], ids=["no_record", "one", "all_alike"])
def test_without_negatives_the_loss_is_zero_and_so_is_every_gradient(slots):
    mask = np.isin(np.arange(NUM_SLOTS), slots)

    def loss(protein, text):
        pairs = without_hashes(protein, text, mask)
        options = {"first": 0, "logit_scale": jnp.float32(2), "mask_duplicates": True}
        return matryoshka_contrastive(pairs, pairs, widths=WIDTHS, shares=SHARES, **options).value()

    embeddings = np.zeros((NUM_SLOTS, WIDTH), np.float32)
    embeddings[:, WIDTH - 1] = 1  # All prefixes are zero vectors.
    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(embeddings, embeddings)
    assert float(value) == 0.0
    assert not any(np.any(np.asarray(gradient)) for gradient in gradients)


def config_with(**options):
    config = protclip_650m.get_config()
    config.matryoshka.update(options)
    config.loss.matryoshka = 1.0
    return config


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"widths": (64, 512)}, r"matryoshka\.widths=\(64, 512\) .* model\.projection_dim=512"),
        ({"widths": ()}, r"matryoshka\.widths=\(\)"),
        ({"width_weights": (1.0,)}, r"matryoshka\.width_weights .*1.* matryoshka\.widths .*3"),
    ],
)
def test_widths_and_weights_that_do_not_fit_are_one_sentence(options, sentence):
    config = config_with(**options)
    with pytest.raises(UserError, match=sentence):
        Matryoshka.check(config)
    config.loss.matryoshka = 0.0
    Matryoshka.check(config)


def test_options_reach_the_objective():
    config = config_with(widths=(8, 16), width_weights=(1.0, 3.5))
    check(config)
    objective = objective_config(config)
    assert objective.matryoshka == 1.0
    assert (objective.widths, objective.width_weights) == ((8, 16), (1.0, 3.5))
    assert "matryoshka" in objective.objectives

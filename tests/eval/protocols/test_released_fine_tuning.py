"""The shipped fine-tuning is the released code's: its rates, its schedule, its patience, and
what it keeps an epoch by."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn import metrics

from configs.eval import fine_tuning
from eval.benchmarks import classification, mutation_effect
from eval.protocols.problem import Fitted
from eval.protocols.supervised import run
from protclip_jax.training.optimizer import make_optimizer
from tests.support import problems

RATE, TOWER_RATIO, STEPS = 5e-5, 0.1, 40
"""`--lr` and `--lr_ratio` of src/downstream.py; its trainer lets the rate fall to 0 linearly,
without weight decay."""


def adam(gradients, rate):
    """The sum of Adam's updates (Kingma & Ba 2015) in float64, the rate falling linearly from
    the second step on."""
    moment, square, total = (
        np.zeros_like(gradients[0]),
        np.zeros_like(gradients[0]),
        np.zeros_like(gradients[0]),
    )
    for step, gradient in enumerate(gradients):
        moment = 0.9 * moment + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        corrected = moment / (1 - 0.9 ** (step + 1)), square / (1 - 0.999 ** (step + 1))
        # Our first step has the rate 0: the schedule of training is one step late.
        falling = 0.0 if step == 0 else rate * (1 - (step - 1) / (STEPS - 1))
        total -= falling * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
    return total


def test_updates_are_adams_at_the_released_rates():
    rng = np.random.default_rng(0)
    config = fine_tuning.get_config()
    names = {
        "protein/layers/kernel": RATE * TOWER_RATIO,
        "head/hidden/kernel": RATE,
        "head/hidden/bias": RATE,
    }
    gradients = {name: rng.normal(size=(12, 5)) for name in names}
    params = {name: jnp.zeros(5) for name in names}
    optimizer = make_optimizer(config.optimizer, params, STEPS)
    state = optimizer.init(params)
    for step in range(12):
        own = {name: jnp.asarray(values[step], jnp.float32) for name, values in gradients.items()}
        updates, state = optimizer.update(own, state, params)
        params = optax.apply_updates(params, updates)
    for name, rate in names.items():
        np.testing.assert_allclose(params[name], adam(gradients[name], rate), rtol=1e-4, atol=1e-9)


def test_lengths_and_patience_are_the_released_codes():
    config = fine_tuning.get_config()
    assert (config.max_epochs, config.patience, config.batch.records) == (200, 10, 8 * 64)
    assert (config.max_protein_tokens, config.hidden, config.standardise) == (1024, None, False)


class Listens:
    """A protocol that keeps the problem and answers with zeros."""

    name = "listens"

    def __call__(self, problem):
        self.problem = problem
        sizes = {
            split: (1, len(problem.splits[split]), problem.outputs) for split in ("valid", "test")
        }
        return Fitted({split: np.zeros(size, np.float32) for split, size in sizes.items()}, {})


@pytest.mark.parametrize(
    ("kind", "reference"),
    [
        ("regression", lambda outputs, true: -metrics.mean_absolute_error(true, outputs[:, 0])),
        ("multiclass", lambda outputs, true: metrics.accuracy_score(true, outputs.argmax(1))),
    ],
)
def test_an_epoch_is_kept_by_the_released_criterion(kind, reference):
    listens, task = Listens(), problems.task(kind)
    judge = (
        mutation_effect.judge_of(task) if kind == "regression" else classification.judge_of(task)
    )
    run(task, listens, judge=judge, splits=problems.SPLITS)
    rng = np.random.default_rng(1)
    true = listens.problem.targets("valid")
    for _ in range(5):
        outputs = rng.normal(size=(len(true), listens.problem.outputs)).astype(np.float32)
        assert listens.problem.score(outputs, true) == pytest.approx(
            reference(outputs, true), rel=1e-5
        )

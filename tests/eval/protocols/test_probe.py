"""The frozen probe: learns what is there, against float64 NumPy, one seed at a time, and the
right epoch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from eval.protocols import probe
from eval.protocols.heads import KINDS
from eval.protocols.probe import FrozenProbe
from eval.protocols.problem import Problem, best_epoch, prepare_splits
from protclip_jax.training.optimizer import unflatten
from tests.support import problems
from tests.support.problems import HIDDEN, small

ROWS, WIDTH = 40, problems.WIDTH


def problem(kind, **sizes):
    prepared = prepare_splits(problems.task(kind, **sizes), **problems.SPLITS)
    judge = problems.judge(kind)
    return Problem("planted", kind, problems.CLASSES, prepared.splits, judge.metrics[judge.main])


def data(kind, *, rows=ROWS):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, WIDTH)).astype(np.float32)
    targets = {
        "multiclass": rng.integers(3, size=rows),
        "multilabel": rng.random((rows, 3)) < 0.4,
        "regression": rng.normal(size=rows).astype(np.float32),
    }[kind]
    return x, targets


def fit(kind, score=lambda outputs: 0.0, *, config=None):
    x, targets = data(kind)
    outputs = KINDS[kind].outputs(3)
    return probe.fit(x, targets, x[:8], score, kind=kind, outputs=outputs, config=config or small())


# --- Learning ---


@pytest.mark.parametrize("kind", problems.all_kinds())
def test_a_planted_signal_is_learnt_and_shuffled_labels_are_not(kind):
    planted = problem(kind)
    protocol = FrozenProbe(problems.features, small(max_epochs=25))
    targets = planted.targets("test")

    def scores(of):
        return [planted.score(outputs, targets) for outputs in protocol(of).outputs["test"]]

    learnt, shuffled = scores(planted), scores(planted.with_shuffled_labels())
    # Fmax of nothing but the classes' shares is about 0.55 here.
    above, below = {"multiclass": (0.8, 0.55), "multilabel": (0.8, 0.7), "regression": (0.9, 0.3)}[
        kind
    ]
    assert min(learnt) > above
    assert max(shuffled) < below


def test_features_are_standardised_by_the_training_split_and_constant_ones_do_nothing():
    planted = problem("regression")
    protocol = FrozenProbe(problems.features, small(max_epochs=2))
    outputs = protocol(planted).outputs["test"]

    def in_other_units(sequences):
        values = problems.features(sequences)
        return np.column_stack([values * np.float32([1e-3, 1, 10, 1, 1, 1, 1, 1]) + 5])

    np.testing.assert_allclose(
        FrozenProbe(in_other_units, small(max_epochs=2))(planted).outputs["test"],
        outputs,
        rtol=1e-2,
    )

    def with_constant(sequences):
        values = problems.features(sequences)
        values[:, 3] = 1e6 if sequences == planted.sequences("test") else 12.3
        return values

    assert np.isfinite(
        FrozenProbe(with_constant, small(max_epochs=2))(planted).outputs["test"]
    ).all()


# --- Against NumPy ---


def numpy_epoch(kind, params, x, targets, order, config):
    """float64 Adam over the rows in that order: forward, backward and update written out."""
    moments = {name: [np.zeros_like(value), np.zeros_like(value)] for name, value in params.items()}
    o = config.optimizer
    for step, start in enumerate(range(0, len(x), config.batch_size), 1):
        rows = order[start : start + config.batch_size]
        before = x[rows] @ params["hidden/kernel"] + params["hidden/bias"]
        hidden = np.maximum(before, 0)
        outputs = hidden @ params["output/kernel"] + params["output/bias"]
        if kind == "multiclass":
            slope = (
                np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True) - np.eye(3)[targets[rows]]
            )
        elif kind == "multilabel":
            slope = (1 / (1 + np.exp(-outputs)) - targets[rows]) / 3
        else:
            slope = 2 * (outputs - targets[rows][:, None])
        slope = slope / len(rows)
        back = slope @ params["output/kernel"].T * (before > 0)
        gradients = {
            "output/kernel": hidden.T @ slope,
            "output/bias": slope.sum(0),
            "hidden/kernel": x[rows].T @ back,
            "hidden/bias": back.sum(0),
        }
        for name, gradient in gradients.items():
            first, second = moments[name]
            first += (1 - o.b1) * (gradient - first)
            second += (1 - o.b2) * (gradient**2 - second)
            scaled = first / (1 - o.b1**step) / (np.sqrt(second / (1 - o.b2**step)) + o.eps)
            # The schedule warms up from 0, over one step at least.
            params[name] = params[name] - o.learning_rate * (step > 1) * scaled
    return params


@pytest.mark.parametrize("kind", problems.all_kinds())
def test_an_epoch_equals_numpy(kind):
    """Three steps, the last of 8 rows; a large epsilon lets Adam's update show the gradients'
    sizes."""
    config = small(seeds=(5,), max_epochs=1)
    config.optimizer.update(eps=0.1, learning_rate=0.1, warmup_fraction=0.0)
    x, targets = data(kind)
    key = jax.random.key(5)
    head = probe.TwoLayerHead(HIDDEN, KINDS[kind].outputs(3))
    start = jax.tree.map(
        lambda p: np.asarray(p, np.float64),
        probe.flatten(head.init(key, jnp.asarray(x[:1]))["params"]),
    )
    order = np.asarray(jax.random.permutation(jax.random.fold_in(key, 0), ROWS))
    expected = numpy_epoch(kind, dict(start), x.astype(np.float64), targets, order, config)
    got = {name: np.asarray(value[0]) for name, value in fit(kind, config=config).params.items()}
    assert max(np.abs(expected[name] - start[name]).max() for name in start) > 1e-2
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-4, atol=2e-5)


# --- Seeds and epochs ---


def test_seeds_in_one_program_equal_seeds_alone():
    together = fit("multiclass")
    for index, seed in enumerate((0, 1)):
        alone = fit("multiclass", config=small(seeds=(seed,)))
        for name, value in alone.params.items():
            np.testing.assert_allclose(value[0], together.params[name][index], rtol=1e-5, atol=1e-6)
    first, second = together.params["hidden/kernel"]
    assert np.abs(first - second).max() > 0.1
    again = fit("multiclass")
    assert all((again.params[name] == value).all() for name, value in together.params.items())


def scripted(scores):
    """Gives the scores of both seeds epoch by epoch, whatever the outputs; a seed that stopped
    is not asked."""
    found = iter(scores)
    return lambda outputs: next(found)


def test_early_stopping_keeps_each_seeds_best_epoch():
    # Seed 0 is best after epoch 2 of 4, seed 1 after epoch 1; with patience 2 they stop after 4 and
    # 3.
    script = [0.1, 0.8, 0.7, 0.2, 0.5, 0.3, 0.4]
    fitted = fit("multiclass", scripted(script), config=small(max_epochs=10, patience=2))
    assert fitted.history.shape == (2, 4)
    np.testing.assert_array_equal(fitted.history, [[0.1, 0.7, 0.5, 0.4], [0.8, 0.2, 0.3, np.nan]])
    # The schedule is constant, so that the number of planned epochs changes no step.
    after_two, after_one = (fit("multiclass", config=small(max_epochs=epochs)) for epochs in (2, 1))
    for name, value in fitted.params.items():
        np.testing.assert_array_equal(value[0], after_two.params[name][0])
        np.testing.assert_array_equal(value[1], after_one.params[name][1])
    facts = fitted.facts(width=WIDTH, rows={"train": ROWS, "valid": 8, "test": 0})
    assert (facts["epochs"], facts["best_epoch"], facts["best_valid"]) == (
        [4, 3],
        [2, 1],
        [0.7, 0.8],
    )


def test_of_equal_scores_the_later_is_the_best_and_undefined_ones_are_the_lowest():
    assert best_epoch(np.array([0.1, 0.5, 0.5, 0.2])) == 2
    assert best_epoch(np.array([np.nan, -3.0, np.nan])) == 1
    fitted = fit("multiclass", scripted([np.nan] * 6), config=small(max_epochs=3, patience=1))
    assert fitted.history.shape == (2, 3)


def test_flops_count_the_products():
    head = probe.TwoLayerHead(HIDDEN, 3)
    forward = 2 * (WIDTH * HIDDEN + HIDDEN * 3)
    backward = 2 * WIDTH * HIDDEN + 4 * HIDDEN * 3
    rows = {"train": 100, "valid": 10, "test": 7}
    expected = 5 * (4 * (100 * (forward + backward) + 10 * forward) + 17 * forward)
    assert probe.flops(head, width=WIDTH, rows=rows, epochs=4, seeds=5) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patients": 3}, "unknown field patients"),
        ({"patience": 0}, "patience=0"),
        ({"seeds": (1, 1)}, "different"),
    ],
)
def test_a_wrong_config_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        FrozenProbe(problems.features, small(**changes))


def test_a_head_trained_by_the_probe_is_a_two_layer_head():
    fitted = fit("regression")
    x, _ = data("regression")
    alone = fitted.head.apply(
        {"params": unflatten({name: value[1] for name, value in fitted.params.items()})},
        jnp.asarray(x),
    )
    np.testing.assert_allclose(fitted.predict(x)[1], alone, rtol=1e-5, atol=1e-6)

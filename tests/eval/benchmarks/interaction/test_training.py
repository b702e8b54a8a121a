import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from eval.benchmarks.interaction.network import InteractionNetwork, messages_over
from eval.benchmarks.interaction.training import (
    Parts,
    Plateau,
    batch_loss,
    batches_of,
    make_optimizer,
    train,
)
from eval.metrics import micro_f1

OPTIONS = ConfigDict(
    {"epochs": 60, "batch_edges": 64, "learning_rate": 1e-2, "weight_decay": 5e-4, "patience": 20}
)


@pytest.fixture(scope="module")
def planted():
    """Proteins of two kinds; a pair of equal kinds has type 0, of unequal ones type 1, and type
    2 is by chance."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(2, size=120)
    edges = np.stack(np.triu_indices(120, 1), axis=1)[rng.random(7140) < 0.045].astype(np.int32)
    equal = kinds[edges[:, 0]] == kinds[edges[:, 1]]
    labels = np.stack([equal, ~equal, rng.random(len(edges)) < 0.3], axis=1)
    features = (2 * kinds[:, None] - 1 + rng.normal(size=(120, 6))).astype(np.float32)
    fit, valid, test = np.split(rng.permutation(len(edges)), [180, 220])
    return features, edges, labels, Parts(fit, valid, test)


def trained(planted, labels=None, **options):
    features, edges, known, parts = planted
    network = InteractionNetwork(3, projected=8, width=16, dropout=0.2)
    return train(
        *(network, features, messages_over(edges, nodes=len(features), slots=2 * len(edges))),
        edges=edges,
        labels=known if labels is None else labels,
        parts=parts,
        options=ConfigDict({**OPTIONS, **options}),
        seed=0,
    )


def test_training_learns_what_is_planted_and_chooses_by_the_validation_part(planted):
    _, _, labels, parts = planted
    result = trained(planted)
    assert micro_f1(result.logits[parts.test, :2] > 0, labels[parts.test, :2]) > 0.7
    assert result.valid_f1 == micro_f1(result.logits[parts.valid] > 0, labels[parts.valid])
    assert result.best_test_f1 >= micro_f1(result.logits[parts.test] > 0, labels[parts.test])
    earlier = trained(planted, epochs=result.epoch)
    assert (earlier.epoch, earlier.valid_f1) == (result.epoch, result.valid_f1)
    np.testing.assert_array_equal(earlier.logits, result.logits)
    assert earlier.flops == pytest.approx(result.flops * result.epoch / OPTIONS.epochs)


def test_labels_of_the_test_part_are_not_seen(planted):
    _, _, labels, parts = planted
    other = labels.copy()
    other[parts.test] = ~other[parts.test]
    first, second = trained(planted, epochs=4), trained(planted, other, epochs=4)
    np.testing.assert_array_equal(first.logits, second.logits)
    assert first.best_test_f1 != second.best_test_f1


def test_batches_hold_every_edge_once():
    edges, labels = np.arange(20).reshape(10, 2), np.arange(10)[:, None] % 2 == 0
    order = np.array([3, 9, 1, 4, 7])
    made = batches_of(order, edges, labels, size=2)
    assert made.pairs.shape == (3, 2, 2)
    np.testing.assert_array_equal(made.pairs[made.mask], edges[order])
    np.testing.assert_array_equal(made.labels[made.mask], labels[order])


def test_loss_equals_its_formula_in_float64_and_ignores_padding():
    rng = np.random.default_rng(0)
    logits, labels, mask = (
        rng.normal(size=(6, 7)) * 3,
        rng.random((6, 7)) < 0.5,
        np.array([1, 1, 0, 1, 0, 1], bool),
    )
    probabilities = 1 / (1 + np.exp(-logits))
    expected = -np.log(np.where(labels, probabilities, 1 - probabilities))[mask].mean()
    loss, gradient = jax.jit(jax.value_and_grad(batch_loss))(
        jnp.asarray(logits), jnp.asarray(labels), jnp.asarray(mask)
    )
    assert loss == pytest.approx(expected, rel=1e-5)
    assert not np.asarray(gradient)[~mask].any()


def test_optimiser_is_torchs_adam_with_weight_decay():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start, gradients = (
        rng.normal(size=4).astype(np.float32),
        rng.normal(size=(5, 4)).astype(np.float32),
    )
    theirs = torch.nn.Parameter(torch.tensor(start))
    adam = torch.optim.Adam([theirs], lr=0.01, weight_decay=0.3)
    optimizer = make_optimizer(0.3)
    update = jax.jit(optimizer.update)
    ours, state = jnp.asarray(start), optimizer.init(jnp.asarray(start))
    for gradient in gradients:
        theirs.grad = torch.tensor(gradient)
        adam.step()
        direction, state = update(jnp.asarray(gradient), state, ours)
        ours = ours - 0.01 * direction
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-5)


def test_plateau_is_torchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    losses = 1 / np.sqrt(1 + np.arange(60)) + 0.05 * rng.normal(size=60)
    adam = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, mode="min", factor=0.5, patience=3)
    ours, rates = Plateau(0.1, 3), []
    for loss in losses:
        theirs.step(loss)
        ours.update(loss)
        rates.append((ours.rate, adam.param_groups[0]["lr"]))
    assert len({rate for rate, _ in rates}) > 3
    assert all(own == other for own, other in rates)

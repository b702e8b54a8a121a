import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eval.benchmarks.interaction.network import (
    GINLayer,
    InteractionNetwork,
    forward_flops,
    messages_over,
    neighbour_sum,
)

NODES, WIDTH = 7, 5
EDGES = np.array([[0, 1], [0, 2], [1, 3], [2, 3], [4, 5]], np.int32)


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).normal(size=(NODES, 3)).astype(np.float32)


def adjacency():
    matrix = np.zeros((NODES, NODES))
    matrix[EDGES[:, 0], EDGES[:, 1]] = matrix[EDGES[:, 1], EDGES[:, 0]] = 1
    return matrix


def initialised(module, *inputs):
    """Its variables at their start."""
    return jax.jit(functools.partial(module.init, training=False))(jax.random.key(0), *inputs)


def shaken(variables):
    """Variables at which no term vanishes: biases, ε and running statistics differ from their
    start."""
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: jnp.asarray(np.abs(leaf + 0.3 * rng.normal(size=leaf.shape)), jnp.float32),
        variables,
    )


def in_float64(layer):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), layer)


def linear(layer, x):
    return x @ layer["kernel"] + layer["bias"]


def gin(params, statistics, x):
    hidden = (1 + params["epsilon"]) * x + adjacency() @ x
    hidden = np.maximum(linear(params["output"], np.maximum(linear(params["input"], hidden), 0)), 0)
    mean, variance = statistics or (hidden.mean(0), hidden.var(0))
    return (hidden - mean) / np.sqrt(variance + 1e-5) * params["norm"]["scale"] + params["norm"][
        "bias"
    ], hidden


@pytest.mark.parametrize("slots", [10, 64])
def test_neighbour_sum_is_the_adjacency_matrix_times_the_vectors(features, slots):
    messages = messages_over(EDGES, nodes=NODES, slots=slots)
    assert messages.receivers.shape == (slots,)
    assert (np.diff(messages.receivers) >= 0).all()
    np.testing.assert_allclose(
        neighbour_sum(jnp.asarray(features), messages), adjacency() @ features, atol=1e-6
    )


def test_empty_slots_carry_nothing_back_either(features):
    def gradient(slots):
        messages = messages_over(EDGES, nodes=NODES, slots=slots)
        return jax.jit(jax.grad(lambda x: jnp.sum(neighbour_sum(x, messages) ** 2)))(
            jnp.asarray(features)
        )

    np.testing.assert_array_equal(gradient(10), gradient(64))


@pytest.mark.parametrize("training", [True, False])
def test_gin_layer_equals_its_formula_in_float64(features, training):
    layer, messages = GINLayer(WIDTH), messages_over(EDGES, nodes=NODES, slots=16)
    variables = shaken(initialised(layer, features, messages))
    apply = jax.jit(functools.partial(layer.apply, training=training, mutable="batch_stats"))
    got, changed = apply(variables, features, messages)
    params, norm = in_float64(variables["params"]), in_float64(variables["batch_stats"]["norm"])
    expected, hidden = gin(
        params, None if training else (norm["mean"], norm["var"]), features.astype(np.float64)
    )
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    after = in_float64(changed["batch_stats"]["norm"])
    moved = 0.9 * norm["mean"] + 0.1 * hidden.mean(0) if training else norm["mean"]
    np.testing.assert_allclose(after["mean"], moved, rtol=1e-5)


def test_network_equals_its_formula_in_float64(features):
    network, messages = (
        InteractionNetwork(4, projected=6, width=WIDTH),
        messages_over(EDGES, nodes=NODES, slots=12),
    )
    pairs = np.array([[0, 1], [3, 6], [4, 5]])
    variables = shaken(initialised(network, features, messages, pairs))
    got = jax.jit(functools.partial(network.apply, training=False))(
        variables, features, messages, pairs
    )
    params = in_float64(variables["params"])
    norm = in_float64(variables["batch_stats"]["convolutions_0"]["norm"])
    hidden, _ = gin(
        params["convolutions_0"],
        (norm["mean"], norm["var"]),
        linear(params["project"], features.astype(np.float64)),
    )
    encoded = linear(params["outer"], np.maximum(linear(params["inner"], hidden), 0))
    np.testing.assert_allclose(
        got, linear(params["classifier"], encoded[pairs[:, 0]] * encoded[pairs[:, 1]]), rtol=1e-4
    )


def test_dropout_is_of_training_only_and_layers_are_stacked(features):
    network, messages = (
        InteractionNetwork(4, projected=6, width=WIDTH, layers=2),
        messages_over(EDGES, nodes=NODES, slots=12),
    )
    variables = initialised(network, features, messages, EDGES)
    assert {"convolutions_0", "convolutions_1"} <= variables["params"].keys()

    @jax.jit
    def outputs(seed):
        rngs = {"dropout": jax.random.key(seed)}
        inputs = jax.tree.map(jnp.asarray, (features, messages, EDGES))
        return network.apply(variables, *inputs, training=True, rngs=rngs, mutable="batch_stats")[0]

    assert not np.allclose(outputs(0), outputs(1))
    np.testing.assert_array_equal(outputs(0), outputs(0))


def test_flops_are_those_that_the_compiler_counts():
    nodes, pairs, width = 200, 300, 64
    network = InteractionNetwork(7, projected=32, width=width)
    edges = np.stack([np.arange(nodes - 1), np.arange(1, nodes)], axis=1)
    features, messages = (
        np.zeros((nodes, 48), np.float32),
        messages_over(edges, nodes=nodes, slots=2 * len(edges)),
    )
    asked = np.zeros((pairs, 2), np.int32)
    init = functools.partial(network.init, training=False)
    variables = jax.eval_shape(init, jax.random.key(0), features, messages, asked)
    program = jax.jit(lambda v, *inputs: network.apply(v, *inputs, training=False))
    counted = program.lower(variables, features, messages, asked).compile().cost_analysis()["flops"]
    stated = forward_flops(network, nodes=nodes, features=48, messages=2 * len(edges), pairs=pairs)
    assert stated == pytest.approx(counted, rel=0.1)

"""The cost of a traced program, against counts by hand and XLA's for a program without loops."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import pallas as pl
from jax.sharding import AxisType, PartitionSpec

from protclip_jax.aot.jaxpr_cost import cost
from protclip_jax.attention import attention
from protclip_jax.attention.registry import BACKENDS
from protclip_jax.models.initialize import init_params
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.training.gradients import make_loss_and_gradients
from protclip_jax.training.optimizer import flatten, partition
from tests.support import tiny

TOKENS, WIDTH = 8, 16
PRODUCT = 2 * TOKENS * WIDTH * WIDTH
"""FLOPs of a [TOKENS, WIDTH] array times a [WIDTH, WIDTH] matrix."""


def traced(function, *shapes):
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.jit(function).trace(*arguments).jaxpr


def flops(function, *shapes):
    return cost(traced(function, *shapes)).flops


def two_layers(x, weights):
    for weight in weights:
        x = jnp.sin(x @ weight)
    return x.sum()


LAYERS = (TOKENS, WIDTH), (2, WIDTH, WIDTH)


def test_a_product_counts_its_contracted_terms():
    assert flops(jnp.matmul, (TOKENS, WIDTH), (WIDTH, WIDTH)) == PRODUCT
    heads = functools.partial(jnp.einsum, "rqhd,rkhd->rhqk")
    assert flops(heads, (3, 5, 2, 7), (3, 11, 2, 7)) == 2 * 3 * 2 * 5 * 11 * 7


def test_a_scan_counts_its_length_times_also_within_another():
    def layer(x, weight):
        return x @ weight, None

    def scanned(x, weights):
        return lax.fori_loop(0, 3, lambda _, x: lax.scan(layer, x, weights)[0], x)

    assert flops(scanned, (TOKENS, WIDTH), (5, WIDTH, WIDTH)) == 3 * 5 * PRODUCT


def test_what_remat_computes_again_counts_and_what_nothing_uses_does_not():
    both = functools.partial(jax.value_and_grad, argnums=(0, 1))
    gradient_alone = jax.grad(jax.checkpoint(two_layers), argnums=(0, 1))
    # Two products in the forward pass, two for each of them in the backward pass; remat repeats
    # the forward products.
    assert flops(both(two_layers), *LAYERS) == 6 * PRODUCT
    assert flops(both(jax.checkpoint(two_layers)), *LAYERS) == 8 * PRODUCT
    # The loss value is not used, so one of the two forward passes is dropped.
    assert flops(gradient_alone, *LAYERS) == 6 * PRODUCT


def test_what_jit_and_custom_derivatives_enclose_counts_once():
    @jax.custom_vjp
    def product(x, weight):
        return jax.jit(jnp.matmul)(x, weight)

    product.defvjp(lambda x, weight: (product(x, weight), None), lambda *_: None)
    custom_jvp = jax.custom_jvp(jnp.matmul)
    custom_jvp.defjvp(lambda *_: None)
    assert flops(product, (TOKENS, WIDTH), (WIDTH, WIDTH)) == PRODUCT
    assert flops(custom_jvp, (TOKENS, WIDTH), (WIDTH, WIDTH)) == PRODUCT


def test_a_cond_counts_its_most_expensive_branch():
    def branched(x, weight):
        branches = [lambda: x, lambda: x @ weight @ weight, lambda: x @ weight]
        return lax.switch(jnp.int32(x[0, 0]), branches)

    assert flops(branched, (TOKENS, WIDTH), (WIDTH, WIDTH)) == 2 * PRODUCT


def test_a_loop_of_unknown_length_is_refused_where_it_would_count():
    def search(step, x):
        return lax.while_loop(lambda x: jnp.sum(x) < 1e6, step, x)

    assert flops(functools.partial(search, lambda x: 2 * x), (8, 8)) == 0
    with pytest.raises(ValueError, match="use lax.scan"):
        flops(functools.partial(search, lambda x: x @ x), (8, 8))


def on_mesh(function, *shapes, **options):
    """The cost of a function in `shard_map` over 2 × 4 devices that divide the first dimension."""
    mesh = jax.make_mesh((2, 4), ("a", "b"), axis_types=(AxisType.Auto,) * 2)
    specs = {"in_specs": PartitionSpec(("a", "b")), "out_specs": PartitionSpec(("a", "b"))}
    divided = jax.shard_map(function, mesh=mesh, **{"check_vma": False, **specs, **options})
    return cost(traced(divided, *shapes))


PART = 8 * 16 * 4
"""Bytes of a device's shard of a float32 array [64, 16]."""

PAIRS = [(0, 1), (1, 2), (2, 3), (3, 0)]


@pytest.mark.parametrize(
    ("exchange", "kind", "sent", "largest"),
    [
        # Three of the four shards come from other devices.
        (lambda x: lax.all_gather(x, "b", tiled=True), "all-gather", 3 * PART, 4 * PART),
        # In a ring, a sum over n devices is a scatter and a gather, (n - 1) / n of the array each.
        (lambda x: lax.psum(x, "a"), "all-reduce", 2 * PART / 2, PART),
        (lambda x: lax.pmax(x, ("a", "b")), "all-reduce", 2 * PART * 7 / 8, PART),
        (lambda x: lax.pmin(x, ("a", "b")), "all-reduce", 2 * PART * 7 / 8, PART),
        (lambda x: lax.psum((x, x[:4]), "b"), "all-reduce", 2 * 1.5 * PART * 3 / 4, PART),
        (
            lambda x: lax.psum_scatter(x, ("a", "b"), tiled=True),
            "reduce-scatter",
            PART * 7 / 8,
            PART / 8,
        ),
        (lambda x: lax.all_to_all(x, "b", 0, 1, tiled=True), "all-to-all", PART * 3 / 4, PART),
        (lambda x: lax.ppermute(x, "b", PAIRS), "collective-permute", PART, PART),
        # Two groups of two devices along an axis of four.
        (
            lambda x: lax.all_gather(x, "b", tiled=True, axis_index_groups=[[0, 1], [2, 3]]),
            "all-gather",
            PART,
            2 * PART,
        ),
    ],
)
def test_collectives_count_what_a_ring_sends(exchange, kind, sent, largest):
    found = on_mesh(exchange, (64, 16))
    assert found.bytes_sent == {kind: sent}
    assert found.largest == {kind: largest}


def test_collectives_add_up_over_a_loop_and_the_largest_is_kept():
    def exchange(x):
        small = lax.psum(x[0], "b")
        summed, _ = lax.scan(lambda x, _: (lax.psum(x, "b"), None), x, length=5)
        return summed + small

    found = on_mesh(exchange, (64, 16))
    assert found.bytes_sent == {"all-reduce": (5 + 1 / 8) * 2 * PART * 3 / 4}
    assert found.largest == {"all-reduce": PART}


def test_sums_count_where_shard_map_checks_replication():
    checked = {"check_vma": True, "out_specs": PartitionSpec()}
    found = on_mesh(lambda x: lax.psum(x, ("a", "b")), (64, 16), **checked)
    assert found.bytes_sent == {"all-reduce": 2 * PART * 7 / 8}


def test_what_stays_on_a_device_sends_nothing():
    mesh = jax.make_mesh((1, 8), ("one", "all"), axis_types=(AxisType.Auto,) * 2)
    alone = jax.shard_map(
        lambda x: jax.vmap(lambda row: lax.psum(row, ("one", "rows")), axis_name="rows")(x),
        mesh=mesh,
        in_specs=PartitionSpec("all"),
        out_specs=PartitionSpec("all"),
        check_vma=False,
    )
    assert not cost(traced(alone, (64, 16))).bytes_sent


def test_inside_shard_map_a_device_computes_its_part():
    found = on_mesh(lambda x, y: x @ y, (64, 16), (8 * 16, 16))
    assert found.flops == 2 * (64 / 8) * 16 * 16


def kernel_cost(kernel, visits=None):
    """The cost of a kernel over a grid of 3 × 5 blocks [TOKENS, WIDTH], and one product besides."""
    rows = pl.BlockSpec((TOKENS, WIDTH), lambda i, j: (5 * i + j, 0))
    square = pl.BlockSpec((WIDTH, WIDTH), lambda i, j: (0, 0))
    call = pl.pallas_call(
        kernel,
        grid=(3, 5),
        in_specs=[rows, square],
        out_specs=rows,
        out_shape=jax.ShapeDtypeStruct((15 * TOKENS, WIDTH), jnp.float32),
    )

    def program(x, weight):
        return call(x, weight) @ weight

    return cost(traced(program, (15 * TOKENS, WIDTH), (WIDTH, WIDTH)), visits)


def simple(x_ref, weight_ref, out_ref):
    out_ref[...] = jnp.dot(x_ref[...], weight_ref[...])


def skipping(x_ref, weight_ref, out_ref):
    @pl.when(x_ref[0, 0] > 0)
    def _():
        lax.fori_loop(0, 2, lambda *_: simple(x_ref, weight_ref, out_ref), None)


def looping(x_ref, weight_ref, out_ref):
    end = x_ref[0, 0].astype(int)
    out_ref[...] = lax.fori_loop(0, end, lambda _, x: jnp.dot(x, weight_ref[...]), x_ref[...])


@pytest.mark.parametrize(
    ("kernel", "visits", "products"),
    [
        (simple, None, 15),
        (simple, lambda kernel: 0.5, 15),
        (skipping, None, 30),
        (skipping, lambda kernel: 0.5, 15),
        (looping, lambda kernel: 2.5, 37.5),
    ],
)
def test_a_kernel_counts_as_its_grid_and_what_it_skips_as_its_visits(kernel, visits, products):
    found = kernel_cost(kernel, visits)
    assert found.kernel_flops == products * PRODUCT
    assert found.flops == (products + 15) * PRODUCT


def test_a_kernels_loop_of_unknown_length_is_refused_without_visits():
    with pytest.raises(ValueError, match="`visits`"):
        kernel_cost(looping)


HEADS, DIM, LENGTH = 2, 64, 512


@pytest.mark.parametrize("backend", ["splash", "triton", "blockwise"])
def test_attention_counts_the_blocks_that_rows_visit(backend):
    """Counts the products per visited pair of blocks.

    There are two in the forward pass. In the backward pass there are seven in kernels (4 for dk and
    dv, 3 for dq), or five in a single loop. Outside its kernels only splash computes one: the sum
    of output times gradient per query.
    """
    ids = np.repeat(np.array([[1, 2], [1, 1]], np.int32), LENGTH // 2, axis=1)
    # A block of splash is half a row; with the other backends' 8 or 16 blocks, a query visits half
    # of them, or all.
    share = BACKENDS[backend].visited_share(ids, "float32")
    visits = functools.partial(BACKENDS[backend].visits, visited={LENGTH: share})
    assert share == 0.75

    def loss(q, k, v):
        segments = {"q_segment_ids": jnp.asarray(ids), "kv_segment_ids": jnp.asarray(ids)}
        out = attention(q, k, v, **segments, implementation=backend)
        return jnp.sum(out**2)

    shape = (len(ids), LENGTH, HEADS, DIM)
    gradients = jax.value_and_grad(loss, argnums=(0, 1, 2))
    found = cost(traced(gradients, shape, shape, shape), visits)
    tokens = len(ids) * HEADS * LENGTH
    products = {"splash": 9, "triton": 9, "blockwise": 7}[backend]
    beside = 2 * tokens * DIM if backend == "splash" else 0
    assert found.flops == products * 2 * tokens * share * LENGTH * DIM + beside
    assert found.kernel_flops == (0 if backend == "blockwise" else found.flops - beside)


def test_flops_of_the_loss_and_its_gradients_are_those_that_xla_counts():
    """One layer in each tower, whose loop runs once, so that XLA's count is complete.

    XLA's count also includes elementwise operations, a few per cent.
    """
    config = tiny.model("dense").config
    wide = {"num_layers": 1, "hidden_size": 256, "num_heads": 2, "intermediate_size": 1024}
    protein, text = (dataclasses.replace(tower, **wide) for tower in (config.protein, config.text))
    model = ProtCLIPModel(dataclasses.replace(config, protein=protein, text=text))
    batch = tiny.pack([tiny.examples(tiny.records(3))])
    params = jax.eval_shape(functools.partial(init_params, model), jax.random.key(0))
    trainable, frozen = partition(flatten(params), (("inv_freq", "frozen"), (".", 1.0)))
    gradients = make_loss_and_gradients(model, ObjectiveConfig())
    step = jax.jit(gradients).trace(trainable, frozen, batch)
    by_xla = step.lower().compile().cost_analysis()["flops"]
    assert 0.97 * by_xla < cost(step.jaxpr).flops < by_xla

"""All attention backends respect segments; blockwise equals dense, also sharded, scanned, remat."""

import functools
import itertools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, AxisType, NamedSharding, PartitionSpec

from data_pipelines.common.errors import UserError
from protclip_jax.attention import attention, splash
from protclip_jax.attention.cudnn import CuDNN
from protclip_jax.attention.registry import BACKENDS
from protclip_jax.attention.splash import Splash
from protclip_jax.attention.triton import Triton

ROWS, LENGTH, HEADS, DIM = 3, 150, 2, 8
"""150 tokens, which is not a multiple of the block and more than two blocks."""


def contiguous(*lengths, total=LENGTH):
    """Ids 1, 2, … with the given lengths, padding at the end."""
    return np.pad(
        np.repeat(np.arange(1, len(lengths) + 1), lengths), (0, total - sum(lengths))
    ).astype(np.int32)


def random_ids(seed, *, length=LENGTH, most=3):
    """Unsorted ids from 0 to `most`."""
    return np.random.default_rng(seed).integers(0, most + 1, length).astype(np.int32)


LAYOUTS = {
    "contiguous": [contiguous(40, 70, 30), contiguous(150), contiguous(1, 64, 64, 1)],
    "unsorted": [random_ids(0), random_ids(1, most=1), random_ids(2, most=40)],
    "descending": [contiguous(40, 70, 30)[::-1], contiguous(10, 10)[::-1], random_ids(3)],
    "returning": [
        np.tile(contiguous(20, 25, total=50), 3),
        np.tile([1, 2, 0], 50),
        np.repeat([7, 0, 7], 50),
    ],
    "padding_rows": [contiguous(), contiguous(5), contiguous()],
    "single_tokens": [np.arange(1, LENGTH + 1), contiguous(*[1] * 100), np.arange(LENGTH)[::-1]],
}


def inputs(q_ids, kv_ids, *, heads=HEADS, dim=DIM, dtype="float32"):
    """Random q, k, v for ids [R, Lq] and [R, Lk], and a cotangent of the output."""
    rng = np.random.default_rng(7)
    draw = lambda ids: jnp.asarray(rng.standard_normal((*ids.shape, heads, dim)), dtype)  # noqa: E731
    return (draw(q_ids), draw(kv_ids), draw(kv_ids)), draw(q_ids)


def value_and_gradients(implementation):
    """A compiled function: (q, k, v), cotangent, ids → output and the three gradients."""

    @jax.jit
    def run(arrays, cotangent, q_ids, kv_ids):
        ids = {"q_segment_ids": q_ids, "kv_segment_ids": kv_ids}
        attend = functools.partial(attention, **ids, implementation=implementation)
        out, pull_back = jax.vjp(attend, *arrays)
        return out, pull_back(cotangent)

    return run


RUN = {name: value_and_gradients(name) for name in BACKENDS}
every_implementation = pytest.mark.parametrize("implementation", sorted(BACKENDS))
all_but_dense = pytest.mark.parametrize("implementation", sorted(BACKENDS.keys() - {"dense"}))


@pytest.fixture(autouse=True, scope="module")
def interpreted_kernels():
    """The accelerators' kernels in interpret mode, with blocks small enough for several per row."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splash, "LARGEST_BLOCK", 128)
        for backend in (
            Splash(interpret=True),
            Triton(interpret=True),
            CuDNN(implementation="xla"),
        ):
            patch.setitem(BACKENDS, backend.name, backend)
        yield


def numpy_attention(q, k, v, q_ids, kv_ids):
    """Computes attention query by query in float64."""
    q, k, v = (np.asarray(x, np.float64) for x in (q, k, v))
    out = np.zeros((*q.shape[:3], v.shape[3]))
    for row, query, head in np.ndindex(q.shape[:3]):
        (keys,) = np.nonzero(kv_ids[row] == q_ids[row, query])
        if q_ids[row, query] and len(keys):
            weights = np.exp(k[row, keys, head] @ q[row, query, head] / np.sqrt(q.shape[-1]))
            out[row, query, head] = weights @ v[row, keys, head] / weights.sum()
    return out


@every_implementation
@pytest.mark.parametrize("layout", LAYOUTS)
def test_equals_numpy(implementation, layout):
    ids = np.stack(LAYOUTS[layout]).astype(np.int32)
    arrays, cotangent = inputs(ids, ids)
    out, _ = RUN[implementation](arrays, cotangent, ids, ids)
    np.testing.assert_allclose(out, numpy_attention(*arrays, ids, ids), rtol=1e-5, atol=1e-5)


def assert_equals_dense(q_ids, kv_ids, *, implementation="blockwise", tolerance=1e-5, **shape):
    arrays, cotangent = inputs(q_ids, kv_ids, **shape)
    out, gradients = RUN[implementation](arrays, cotangent, q_ids, kv_ids)
    chex.assert_equal_shape([out, arrays[0]])
    chex.assert_trees_all_equal_dtypes(gradients, arrays)
    chex.assert_trees_all_close(
        (out, gradients),
        RUN["dense"](arrays, cotangent, q_ids, kv_ids),
        rtol=tolerance,
        atol=tolerance,
    )


@all_but_dense
@pytest.mark.parametrize("layout", LAYOUTS)
def test_equals_dense(implementation, layout):
    ids = np.stack(LAYOUTS[layout]).astype(np.int32)
    assert_equals_dense(ids, ids, implementation=implementation)


@pytest.mark.parametrize(
    ("q_length", "kv_length", "heads", "dim"),
    [(1, 1, 1, 1), (5, 200, 1, 16), (130, 64, 3, 4)],
)
@pytest.mark.parametrize("implementation", ["blockwise", "cudnn", "triton"])
def test_equals_dense_for_any_lengths(implementation, q_length, kv_length, heads, dim):
    q_ids = np.stack([random_ids(seed, length=q_length) for seed in range(2)])
    kv_ids = np.stack([random_ids(seed, length=kv_length) for seed in range(2, 4)])
    assert_equals_dense(q_ids, kv_ids, implementation=implementation, heads=heads, dim=dim)


def test_cross_attention_over_scattered_keys():
    q_ids = contiguous(40, 70, 30)[None]
    text = np.repeat([1, 2, 3], [30, 80, 60])
    kv_ids = np.where(np.arange(len(text)) % 3 == 0, 0, text)[None].astype(np.int32)
    assert_equals_dense(q_ids, kv_ids, heads=1, dim=64)


@all_but_dense
def test_equals_dense_in_bfloat16(implementation):
    ids = np.stack(LAYOUTS["contiguous"])
    assert_equals_dense(ids, ids, implementation=implementation, dtype="bfloat16", tolerance=3e-2)


def test_splash_is_for_self_attention():
    q_ids, kv_ids = jnp.ones((1, 8), jnp.int32), jnp.ones((1, 16), jnp.int32)
    arrays, _ = inputs(q_ids, kv_ids)
    with pytest.raises(ValueError, match="splash .*self-attention"):
        Splash().attend(*arrays, q_segment_ids=q_ids, kv_segment_ids=kv_ids)


def test_splash_visits_the_blocks_that_share_a_segment():
    """Three blocks of 128 tokens: the first segment covers two, the second one; then padding."""
    ids = np.zeros((2, 384), np.int32)
    ids[0, :200], ids[0, 256:300] = 1, 2
    assert Splash().visited_share(ids, "bfloat16") == pytest.approx((5 + 3) / 18)
    visits = splash.block_visits(ids, 128)
    np.testing.assert_array_equal(visits.block_mask[0, :3], [[2, 2, 0], [2, 2, 0], [0, 0, 2]])
    # The second row's blocks follow the first row's; every step names a block of its own row.
    np.testing.assert_array_equal(visits.data_next[0, 3:] // 3, np.ones((3, 3)))


def test_kernels_for_gpus_are_lowered_for_them():
    """Needs no GPU, because nothing runs."""
    ids, x = (
        jax.ShapeDtypeStruct((2, 256), np.int32),
        jax.ShapeDtypeStruct((2, 256, 4, 64), jnp.bfloat16),
    )

    def loss(x, ids):
        return (
            Triton()
            .attend(x, x, x, q_segment_ids=ids, kv_segment_ids=ids)
            .astype(jnp.float32)
            .sum()
        )

    hopper = AbstractDevice(device_kind="NVIDIA H100 80GB HBM3", num_cores=132, platform="gpu")
    with jax.sharding.use_abstract_mesh(AbstractMesh((), (), abstract_device=hopper)):
        lowered = jax.jit(jax.grad(loss)).trace(x, ids).lower(lowering_platforms=("cuda",))
    assert lowered.as_text().count("stablehlo.custom_call") == 3


def test_kernels_for_gpus_take_tokens_where_the_towers_have_them():
    """A transposed [R, L, H, D] would add a write and a read for q, k, v, output and gradients."""
    ids, x = (
        jax.ShapeDtypeStruct((2, 256), np.int32),
        jax.ShapeDtypeStruct((2, 256, 4, 64), jnp.bfloat16),
    )

    def loss(q, k, v, ids):
        return (
            Triton()
            .attend(q, k, v, q_segment_ids=ids, kv_segment_ids=ids)
            .astype(jnp.float32)
            .sum()
        )

    jaxpr = jax.make_jaxpr(jax.grad(loss, (0, 1, 2)))(x, x, x, ids)
    found = [equation for equation in jaxpr.eqns if equation.primitive.name == "transpose"]
    assert not [equation for equation in found if equation.outvars[0].aval.ndim == 4]
    kernels = [equation for equation in jaxpr.eqns if equation.primitive.name == "pallas_call"]
    assert len(kernels) == 3


@pytest.mark.parametrize(("dtype", "block"), [("bfloat16", 64), ("float32", 32)])
def test_kernels_for_gpus_visit_the_blocks_that_share_a_segment(dtype, block):
    ids = np.stack([contiguous(40, 70, 30, 100, total=256), contiguous(200, total=256)])
    blocks = ids.reshape(2, -1, block)
    meets = []
    for row in blocks:
        for one, other in itertools.product(row, row):
            meets.append(np.intersect1d(one[one > 0], other).size > 0)
    assert Triton().visited_share(ids, dtype) == pytest.approx(np.mean(meets))
    assert 0 < np.mean(meets) < 1


def test_cudnn_is_called_for_the_forward_and_the_backward_pass(monkeypatch):
    """Lowers for an abstract GPU, so cuDNN is not asked for its version."""
    from jax._src.cudnn import fused_attention_stablehlo

    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 91_200)
    monkeypatch.setattr(fused_attention_stablehlo, "check_compute_capability", lambda *_: True)
    ids, x = (
        jax.ShapeDtypeStruct((2, 256), np.int32),
        jax.ShapeDtypeStruct((2, 256, 4, 64), jnp.bfloat16),
    )

    def loss(x, ids):
        return (
            CuDNN().attend(x, x, x, q_segment_ids=ids, kv_segment_ids=ids).astype(jnp.float32).sum()
        )

    text = jax.jit(jax.grad(loss)).trace(x, ids).lower(lowering_platforms=("cuda",)).as_text()
    assert [text.count(f"@__cudnn$fmhaScaleBiasSoftmax{end}(") for end in ("", "Backward")] == [
        1,
        1,
    ]


def test_cudnn_is_for_bfloat16():
    ids = jnp.ones((1, 8), jnp.int32)
    arrays, _ = inputs(ids, ids)
    with pytest.raises(UserError, match="'cudnn' .*bfloat16"):
        CuDNN().attend(*arrays, q_segment_ids=ids, kv_segment_ids=ids)


def test_blockwise_survives_extreme_scores():
    ids = np.stack(LAYOUTS["contiguous"])
    arrays, cotangent = inputs(ids, ids)
    arrays = (arrays[0] * 100, arrays[1] * 100, arrays[2])
    out, gradients = RUN["blockwise"](arrays, cotangent, ids, ids)
    chex.assert_tree_all_finite(gradients)
    np.testing.assert_allclose(
        out, RUN["dense"](arrays, cotangent, ids, ids)[0], rtol=1e-3, atol=1e-3
    )


@every_implementation
def test_padding_and_queries_without_keys_give_zero_and_no_gradient(implementation):
    q_ids = np.stack(LAYOUTS["contiguous"])
    kv_ids = q_ids if implementation == "splash" else np.where(q_ids == 2, 9, q_ids)
    arrays, cotangent = inputs(q_ids, kv_ids)
    out, (dq, dk, dv) = RUN[implementation](arrays, cotangent, q_ids, kv_ids)
    chex.assert_tree_all_finite((dq, dk, dv))
    idle = (q_ids == 0) | ((q_ids == 2) & ~np.isin(2, kv_ids))
    unread = (kv_ids == 0) | (kv_ids == 9)
    assert not np.asarray(out)[idle].any()
    assert not np.asarray(dq)[idle].any()
    assert not np.asarray(dk)[unread].any()
    assert not np.asarray(dv)[unread].any()
    assert np.asarray(out)[~idle].all()


@every_implementation
@pytest.mark.parametrize("layout", ["contiguous", "unsorted", "returning"])
@pytest.mark.parametrize("moved", [0, 1])
def test_nothing_leaks(implementation, layout, moved):
    """Changing all of one segment (or padding) leaves the others' results identical bit by bit."""
    ids = np.stack(LAYOUTS[layout]).astype(np.int32)
    arrays, cotangent = inputs(ids, ids)
    inside = (ids == moved)[:, :, None, None]
    before = RUN[implementation](arrays, cotangent, ids, ids)
    after = RUN[implementation](
        tuple(jnp.where(inside, 50 * x + 3, x) for x in arrays), cotangent, ids, ids
    )
    outside = lambda tree: jax.tree.map(lambda x: jnp.where(inside, 0, x), tree)  # noqa: E731
    chex.assert_trees_all_equal(outside(before), outside(after))

    _, gradients = RUN[implementation](arrays, jnp.where(inside, cotangent, 0), ids, ids)
    chex.assert_trees_all_equal(outside(gradients), jax.tree.map(jnp.zeros_like, gradients))
    assert moved == 0 or all(np.any(gradient) for gradient in gradients)


def test_blockwise_skips_blocks_of_other_segments():
    """NaN in the second segment's blocks would spread through products with weight 0."""
    ids = np.repeat([[1, 2]], 64, axis=1).reshape(1, 128).astype(np.int32)
    arrays, cotangent = inputs(ids, ids)
    second = (ids == 2)[:, :, None, None]
    poisoned = tuple(jnp.where(second, jnp.nan, x) for x in arrays)
    result = jax.tree.map(lambda x: x[:, :64], RUN["blockwise"](poisoned, cotangent, ids, ids))
    chex.assert_tree_all_finite(result)


def test_blockwise_never_holds_all_scores():
    length, heads = 2048, 4
    ids = np.ones((1, length), np.int32)
    arrays, cotangent = inputs(ids, ids, heads=heads, dim=2)
    compiled = RUN["blockwise"].lower(arrays, cotangent, ids, ids).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < heads * length**2


class Layer(nn.Module):
    """x + attention(x) as a scan body, as in the encoders."""

    implementation: str

    @nn.compact
    def __call__(self, x, ids):
        heads = (*x.shape[:2], 3, HEADS, DIM)
        q, k, v = jnp.moveaxis(nn.Dense(3 * HEADS * DIM)(x).reshape(heads), 2, 0)
        context = attention(
            q, k, v, q_segment_ids=ids, kv_segment_ids=ids, implementation=self.implementation
        )
        return x + context.reshape(x.shape), None


def encoder_loss(params, x, ids, *, implementation):
    """A scalar function of two scanned, rematerialised layers."""
    layers = nn.scan(
        nn.remat(Layer),
        variable_axes={"params": 0},
        split_rngs={"params": True},
        in_axes=nn.broadcast,
        length=2,
    )(implementation)
    if params is None:
        return layers.init(jax.random.key(0), x, ids)
    return jnp.sin(layers.apply(params, x, ids)[0]).sum()


def test_sharded_rows_equal_one_device_and_nothing_is_gathered():
    ids = np.stack([random_ids(seed, length=100) for seed in range(8)])
    x = np.random.default_rng(0).standard_normal((*ids.shape, HEADS * DIM)).astype(np.float32)
    params = jax.jit(lambda *a: encoder_loss(None, *a, implementation="dense"))(x, ids)

    def value_and_grad(implementation):
        return jax.jit(
            jax.value_and_grad(
                lambda *a: encoder_loss(*a, implementation=implementation), argnums=(0, 1)
            )
        )

    expected = value_and_grad("dense")(params, x, ids)

    mesh = jax.make_mesh((4, 2), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2)
    with jax.set_mesh(mesh):
        rows = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))
        sharded = (
            jax.device_put(params, NamedSharding(mesh, PartitionSpec())),
            *jax.device_put((x, ids), rows),
        )
        compiled = value_and_grad("blockwise").lower(*sharded).compile()
        chex.assert_trees_all_close(compiled(*sharded), expected, rtol=1e-4, atol=1e-5)
    assert not [
        name
        for name in ("all-gather", "all-to-all", "collective-permute")
        if name in compiled.as_text()
    ]


def test_rows_that_do_not_divide_over_the_mesh():
    ids = jnp.ones((6, 8), jnp.int32)
    (q, k, v), _ = inputs(ids, ids)
    mesh = jax.make_mesh((4, 2), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2)
    with jax.set_mesh(mesh), pytest.raises(UserError, match="6 rows .* 8 devices .* data, fsdp"):
        attention(q, k, v, q_segment_ids=ids, kv_segment_ids=ids, implementation="blockwise")


def test_unknown_implementation_names_the_known_ones():
    ids = jnp.ones((1, 8), jnp.int32)
    (q, k, v), _ = inputs(ids, ids)
    with pytest.raises(ValueError, match="'fast'.* blockwise, cudnn, dense, splash, triton"):
        attention(q, k, v, q_segment_ids=ids, kv_segment_ids=ids, implementation="fast")

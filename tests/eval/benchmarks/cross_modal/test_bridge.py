import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eval.benchmarks.cross_modal.bridge import Bridge, Places, forward_flops, info_nce

WIDTH, LAYERS = 8, 1
WIDTHS = (3, 5)
HEADS = Places(np.array([0, 1, 1, 0]), np.array([2, 0, 3, 1]))
RELATIONS, TAIL_TYPES = np.array([0, 2, 1, 1]), np.array([1, 1, 0, 0])


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(4, width)).astype(np.float32) for width in WIDTHS]


@pytest.fixture(scope="module")
def bridge():
    return Bridge(len(WIDTHS), 3, width=WIDTH, layers=LAYERS, heads=2, feed_forward=12)


@pytest.fixture(scope="module")
def params(bridge, tables):
    """Parameters at which every bias and scale matters."""
    init = jax.jit(functools.partial(bridge.init, training=False))
    fresh = init(jax.random.key(0), tables, HEADS, relations=RELATIONS, tail_types=TAIL_TYPES)[
        "params"
    ]
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf + 0.2 * rng.normal(size=leaf.shape), jnp.float32), fresh
    )


def outputs(bridge, params, tables, **options):
    """What the bridge makes of the heads above."""
    call = jax.jit(functools.partial(bridge.apply, **options))
    return call({"params": params}, tables, HEADS, relations=RELATIONS, tail_types=TAIL_TYPES)


def torch_layer(torch, layer):
    """torch's encoder layer with the parameters of one of ours."""
    made = (
        torch.nn.TransformerEncoderLayer(
            WIDTH, 2, dim_feedforward=12, activation="gelu", batch_first=True
        )
        .double()
        .eval()
    )
    attention, norms = (
        layer["MultiHeadDotProductAttention_0"],
        (layer["LayerNorm_0"], layer["LayerNorm_1"]),
    )
    parts = [attention[name] for name in ("query", "key", "value")]
    kernels = [np.reshape(part["kernel"], (WIDTH, WIDTH)).T for part in parts]
    biases = [np.ravel(part["bias"]) for part in parts]
    values = {
        "self_attn.in_proj_weight": np.concatenate(kernels),
        "self_attn.in_proj_bias": np.concatenate(biases),
        "self_attn.out_proj.weight": np.reshape(attention["out"]["kernel"], (WIDTH, WIDTH)).T,
        "self_attn.out_proj.bias": attention["out"]["bias"],
    }
    for position in (1, 2):
        values |= {f"linear{position}.weight": layer[f"Dense_{position - 1}"]["kernel"].T}
        values |= {f"linear{position}.bias": layer[f"Dense_{position - 1}"]["bias"]}
        values |= {
            f"norm{position}.weight": norms[position - 1]["scale"],
            f"norm{position}.bias": norms[position - 1]["bias"],
        }
    made.load_state_dict(
        {name: torch.tensor(np.array(value)).double() for name, value in values.items()}
    )
    return made


def test_bridge_equals_torchs_encoder_between_residual_projections(bridge, params, tables):
    torch = pytest.importorskip("torch")
    got = outputs(bridge, params, tables, training=False)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)

    def normed(name, positions):
        rows, norm = params[f"{name}_type"]["embedding"][positions], params[f"{name}_norm"]
        centred = rows - rows.mean(1, keepdims=True)
        return (
            centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * norm["scale"]
            + norm["bias"]
        )

    kernels = [params[f"projections_{position}"]["kernel"] for position in range(2)]
    projected = np.stack(
        [tables[kind][row] @ kernels[kind] for kind, row in zip(*HEADS, strict=True)]
    )
    tokens = np.stack(
        [
            projected,
            normed("node", HEADS.types),
            normed("relation", RELATIONS),
            normed("node", TAIL_TYPES),
        ],
        1,
    )
    hidden = torch.tensor(tokens)
    for position in range(LAYERS):
        hidden = torch_layer(torch, params[f"encoder_{position}"])(hidden)
    np.testing.assert_allclose(got, projected + hidden[:, 0].detach().numpy(), rtol=1e-4, atol=1e-5)


def test_nodes_are_projected_by_the_map_of_their_own_type(bridge, params, tables):
    nodes = Places(np.array([[0, 1], [1, 0]]), np.array([[3, 3], [0, 0]]))
    got = jax.jit(functools.partial(bridge.apply, method="project"))(
        {"params": params}, tables, nodes
    )
    for index in np.ndindex(2, 2):
        kind, row = nodes.types[index], nodes.rows[index]
        np.testing.assert_allclose(
            got[index],
            tables[kind][row] @ params[f"projections_{kind}"]["kernel"],
            rtol=1e-5,
            atol=1e-6,
        )


def test_dropout_is_of_training_only(bridge, params, tables):
    one, other = (
        outputs(bridge, params, tables, training=True, rngs={"dropout": jax.random.key(key)})
        for key in (0, 1)
    )
    assert not np.allclose(one, other)


def test_info_nce_equals_its_formula_in_float64():
    rng = np.random.default_rng(0)
    queries, positives, negatives = (
        rng.normal(size=(6, 4)),
        rng.normal(size=(6, 4)),
        rng.normal(size=(6, 3, 4)),
    )
    admitted = rng.random((6, 3)) < 0.6
    admitted[0], admitted[1] = False, True
    expected = []
    for query, positive, others, allowed in zip(
        queries, positives, negatives, admitted, strict=True
    ):
        rows = np.stack([positive, *others[allowed]])
        cosines = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
        shares = np.exp(cosines / 0.1) / np.exp(cosines / 0.1).sum()
        expected.append(-np.log(shares[0]))
    got = jax.jit(info_nce)(*map(jnp.asarray, (queries, positives, negatives, admitted)))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    assert got[0] == 0
    gradient = jax.grad(
        lambda others: info_nce(
            *map(jnp.asarray, (queries, positives)), others, jnp.asarray(admitted)
        ).sum()
    )
    gradients = jax.jit(gradient)(jnp.asarray(negatives))
    assert np.isfinite(gradients).all()
    assert not gradients[~admitted].any()
    assert np.abs(gradients[admitted]).max() > 0


def test_flops_are_those_that_the_compiler_counts():
    width, count = 256, 32
    bridge = Bridge(2, 3, width=width, layers=1, heads=4, feed_forward=512)
    tables = [np.zeros((9, 48), np.float32), np.zeros((9, 80), np.float32)]
    one, several = jnp.zeros(count, jnp.int32), jnp.zeros((count, 5), jnp.int32)

    def forward(module, tables):
        queries = module(tables, Places(one, one), relations=one, tail_types=one, training=False)
        return (
            queries,
            module.project(tables, Places(one, one)),
            module.project(tables, Places(several, several)),
        )

    params = jax.eval_shape(
        functools.partial(bridge.init, method=forward), jax.random.key(0), tables
    )
    program = jax.jit(lambda params, tables: bridge.apply(params, tables, method=forward))
    counted = program.lower(params, tables).compile().cost_analysis()["flops"]
    assert count * forward_flops(bridge, widths=(48, 80), negatives=5) == pytest.approx(
        counted, rel=0.15
    )

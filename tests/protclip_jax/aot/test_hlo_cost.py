"""What a compiled program costs, on CPU programs and on lines as a TPU's compiler writes them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from protclip_jax.aot.hlo_cost import program_cost

LAYERS, WIDTH, TOKENS = 5, 64, 128


def layer(x, weight):
    hidden = jax.nn.gelu(x @ weight)
    heads = hidden.reshape(4, TOKENS // 4, 2, WIDTH // 2)
    weights = jax.nn.softmax(jnp.einsum("rqhd,rkhd->rhqk", heads, heads))
    return x + jnp.einsum("rhqk,rkhd->rqhd", weights, heads).reshape(x.shape)


def scanned(weights, x):
    return jax.lax.scan(lambda x, weight: (layer(x, weight), None), x, weights)[0].sum()


def unrolled(weights, x):
    for weight in weights:
        x = layer(x, weight)
    return x.sum()


def compiled(function, *shapes):
    return jax.jit(function).lower(*(jnp.ones(shape) for shape in shapes)).compile()


def test_a_loop_counts_as_often_as_it_runs():
    shapes = (LAYERS, WIDTH, WIDTH), (TOKENS, WIDTH)
    programs = [compiled(jax.grad(function, argnums=(0, 1)), *shapes) for function in (scanned, unrolled)]
    looped, straight = (program_cost(program.as_text(), devices=1).flops for program in programs)
    assert looped == pytest.approx(straight, rel=0.02)
    # XLA counts the unrolled program right, element by element operations included, and the loop's body once.
    assert straight == pytest.approx(programs[1].cost_analysis()["flops"], rel=0.15)
    assert programs[0].cost_analysis()["flops"] < 0.5 * straight


def test_collectives_are_counted_by_kind_with_what_a_ring_sends():
    mesh = jax.make_mesh((2, 4), ("a", "b"), axis_types=(AxisType.Auto,) * 2)

    def exchange(x):
        gathered = jax.lax.all_gather(x, "b", tiled=True)
        scattered = jax.lax.psum_scatter(gathered * 2, ("a", "b"), tiled=True)
        return jax.lax.psum(scattered * 3, "a")

    specs = {"in_specs": PartitionSpec("b"), "out_specs": PartitionSpec("b"), "check_vma": False}
    program = compiled(jax.shard_map(exchange, mesh=mesh, **specs), (64, 16))
    cost = program_cost(program.as_text(), devices=8)
    # A part has 16 × 16 float32 numbers, the whole of four 64 × 16; an eighth of it has 8 × 16.
    assert cost.bytes_sent["all-gather"] == 64 * 16 * 4 * 3 / 4
    assert cost.bytes_sent["reduce-scatter"] == 8 * 16 * 4 * 7
    assert cost.bytes_sent["all-reduce"] == 2 * 8 * 16 * 4 * 1 / 2
    assert cost.largest == {"all-gather": 4096, "reduce-scatter": 512, "all-reduce": 512}


def program(*lines):
    return "\n".join(["ENTRY %main (p: f32[]) -> f32[] {", *(f"  {line}" for line in lines), "}"])


@pytest.mark.parametrize(
    ("shapes", "attributes", "products"),
    [
        # A matrix product, a product over windows of which one place is taken, and the same with the window's places as sums.
        (("bf16[256,384]", "bf16[384,128]", "bf16[256,128]"), "dim_labels=bf_io->bf", 256 * 384 * 128),
        (
            ("bf16[6,64,32]", "bf16[6,32,48]", "f32[6,64,48]"),
            "window={size=6 stride=5 lhs_dilate=6}, dim_labels=0bf_0io->0bf",
            6 * 64 * 32 * 48,
        ),
        (
            ("bf16[18,2048,64]", "bf16[18,2048,32]", "f32[64,32,1]"),
            "window={size=18}, dim_labels=0fb_0io->bf0",
            18 * 2048 * 64 * 32,
        ),
        (
            ("bf16[18,64,32]", "bf16[32,16,1]", "f32[6,64,16]"),
            "window={size=1 pad=-12_0}, dim_labels=0bf_io0->0bf",
            6 * 64 * 32 * 16,
        ),
    ],
)
def test_products_written_as_convolutions(shapes, attributes, products):
    left, right, result = shapes
    text = program(
        f"%a = {left}{{1,0}} parameter(0)",
        f"%b = {right}{{1,0}} parameter(1)",
        f"ROOT %c = {result}{{1,0:T(8,128)}} convolution(%a, %b), {attributes}",
    )
    assert program_cost(text, devices=1).flops == 2 * products


def test_groups_are_read_in_every_way_they_are_written():
    def sent(groups):
        text = program(
            "%a = f32[8] parameter(0)", f"ROOT %g = f32[8]{{0}} all-gather(%a), replica_groups={groups}, dimensions={{0}}"
        )
        return program_cost(text, devices=8).bytes_sent["all-gather"]

    for groups in ("{{0,1,2,3},{4,5,6,7}}", "[2,4]<=[8]", "mesh['x'=2,'y'=4] {'y'}"):
        assert sent(groups) == 32 * 3 / 4


def test_a_kernel_counts_by_its_formula_and_is_refused_without_one():
    text = program(
        "%q = bf16[4,512,64]{2,1,0} parameter(0)",
        'ROOT %splash_mha_fwd.1 = bf16[4,512,64]{2,1,0} custom-call(%q), custom_call_target="tpu_custom_call", '
        "frontend_attributes={m={",
        '"metadata":"over several lines"',
        "}}, backend_config={}",
    )
    cost = program_cost(text, devices=1, kernels=lambda name, operands: 7 * np.prod(operands[0]))
    assert cost.flops == cost.kernel_flops == 7 * 4 * 512 * 64
    with pytest.raises(ValueError, match=r"kernel splash_mha_fwd\.1; give the formula"):
        program_cost(text, devices=1)


def test_a_loop_of_unknown_length_is_refused():
    def search(x):
        return jax.lax.while_loop(lambda x: jnp.sum(x @ x) < 1e6, lambda x: x @ x, x)

    with pytest.raises(ValueError, match="how often the loop"):
        program_cost(compiled(search, (8, 8)).as_text(), devices=1)

import jax
import jax.numpy as jnp
import numpy as np

from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.training import flops
from tests.support import tiny


def test_tokens_are_counted_by_segment():
    made = tiny.examples(tiny.records(3))
    batch = tiny.pack([made[:2], made[2:]])
    counts = flops.count_tokens(batch)
    lengths = [example.protein_length for example in made]
    assert counts["protein_tokens"] == sum(lengths)
    assert counts["protein_squares"] == sum(n * n for n in lengths)
    assert counts["text_tokens"] == sum(example.text_length for example in made)
    assert counts["slots"] == 2 * (tiny.PROTEIN_TOKENS + tiny.TEXT_TOKENS)


def test_model_flops_agree_with_the_compilers_count_of_an_unpacked_tower():
    """A forward pass over one full row, layers unrolled: 2·N·(4D² + 2DF) + 4·N·D·n per token."""
    model = tiny.model("dense")
    config, length = model.config.protein, 64
    tokens = jnp.full((1, length), 5, jnp.int32)

    def forward(params):
        return model.apply(
            {"params": params},
            tokens,
            jnp.ones_like(tokens),
            jnp.arange(length)[None],
            1,
            method="encode_protein",
        )

    cost = jax.jit(forward).lower(tiny.params()).compile().cost_analysis()
    # XLA counts the scanned layer only once.
    per_layer = flops.step_flops(
        {
            "protein_tokens": length,
            "protein_squares": length**2,
            "text_tokens": 0,
            "text_squares": 0,
        },
        model.config,
        ObjectiveConfig(mlm=0, bsr=0),
        text_trained=False,
    ) / (3 * config.num_layers)
    # Softmax, norms and GELU are not matrix products; at width 32 they are a third.
    assert 1.0 < cost["flops"] / per_layer < 1.6


def test_passes_and_frozen_text_count():
    counts = {
        "protein_tokens": 100,
        "protein_squares": 3000,
        "text_tokens": 50,
        "text_squares": 800,
    }
    config = tiny.model().config

    def total(text_trained=False, **objective):
        return flops.step_flops(
            counts, config, ObjectiveConfig(**objective), text_trained=text_trained
        )

    one, two, three = total(mlm=0, bsr=0), total(mlm=0), total()
    np.testing.assert_allclose(three - two, two - one)
    np.testing.assert_allclose(total(masked_passes="shared"), two)
    np.testing.assert_allclose(total(masked_passes="single"), one)
    # A frozen tower only runs forward, a third of the work.
    text = total(gc=0, pda=0, mlm=0, bsr=0)
    np.testing.assert_allclose(total(text_trained=True) - three, 2 * text)

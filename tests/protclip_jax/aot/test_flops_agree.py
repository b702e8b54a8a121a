"""FLOPs of one step: the model's formula, the traced step and XLA's own analysis agree."""

import jax
import pytest

import protclip_jax.config.build as config_lib
from configs import protclip_650m
from protclip_jax.aot.jaxpr_cost import cost
from protclip_jax.aot.plan import plan_step
from protclip_jax.training import flops

ROWS, PROTEIN_TOKENS, TEXT_TOKENS = 4, 1024, 512


@pytest.mark.soak
def test_three_counts_of_a_step_agree_to_one_per_cent():
    """Each row holds one record that fills it, so all tokens are real.

    Each tower has one layer of the 650M model's widths. Attention is dense, so that XLA sees every
    product once. XLA also counts elementwise operations.
    """
    config = protclip_650m.get_config()
    config.batch.update(rows=ROWS, slots=1, protein_tokens=PROTEIN_TOKENS, text_tokens=TEXT_TOKENS)
    config.loss.update(bsr=0.0, mlm=0.0, pda=0.0)
    config.model.update(attention="dense", remat="none")
    config.model.protein.num_layers = config.model.text.num_layers = 1
    config.mesh.fsdp = 1
    plan = plan_step(config, jax.devices()[:1])
    (traced,) = plan.candidates.values()
    walked = cost(traced().jaxpr).flops
    with jax.set_mesh(plan.mesh):
        by_xla = traced().lower().compile().cost_analysis()["flops"]
    tokens = {
        "protein_tokens": ROWS * PROTEIN_TOKENS,
        "protein_squares": ROWS * PROTEIN_TOKENS**2,
        "text_tokens": ROWS * TEXT_TOKENS,
        "text_squares": ROWS * TEXT_TOKENS**2,
    }
    objective = config_lib.objective_config(config)
    by_formula = flops.step_flops(tokens, plan.network, objective, text_trained=False)
    assert walked == pytest.approx(by_formula, rel=0.01)
    assert walked < by_xla < 1.01 * walked

"""Loss and gradient are the same on any mesh, in micro-batches, in chunks, and for every remat."""

import dataclasses
import functools
import itertools

import jax
import numpy as np
import pytest
from jax.sharding import AxisType

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import Feature
from protclip_jax.distributed import sharding
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.training.gradients import make_loss_and_gradients
from protclip_jax.training.optimizer import flatten, partition
from tests.support import tiny

ROWS, SLOTS = 8, 5
RULES = (("kernel$", "fsdp"), (".", "replicate"))
PAPER = ObjectiveConfig()
OURS = ObjectiveConfig(
    features=0.3,
    negatives="late_interaction",
    pooling="residue",
    prototypes=False,
    masked_passes="single",
)
CONTRASTS = ObjectiveConfig(
    bsr=0.0,
    mlm=0.0,
    pda=0.0,
    sigmoid=0.7,
    matryoshka=0.5,
    widths=(4, 10),
    width_weights=(1.0, 3.0),
    contrast_chunk=7,
)
ACROSS = ObjectiveConfig(
    negatives="both", contrast_chunk=5, masked_passes="shared", text_gradient=True
)


@functools.cache
def batch():
    """Twenty records in seven of eight rows; features assign some residues to a property."""
    features = (Feature("ACT_SITE", 2, 4), Feature("DOMAIN", 5, 9))
    made = tiny.examples(
        [dataclasses.replace(record, features=features) for record in tiny.records(20)]
    )
    return tiny.pack(
        [made[0:3], made[3:5], made[5:8], [], made[8:12], made[12:13], made[13:17], made[17:20]],
        slots=SLOTS,
    )


def remat_model(policy):
    config = tiny.model().config
    towers = {
        name: dataclasses.replace(getattr(config, name), remat=policy)
        for name in ("protein", "text")
    }
    return ProtCLIPModel(dataclasses.replace(config, **towers))


@functools.cache
def compiled(objective, data_fsdp=None, *, microbatch_rows=None, remat="none", frozen="inv_freq"):
    """The function compiled for a mesh of these sizes, or a single device, and its arguments."""
    params = tiny.sigmoid_params() if objective.sigmoid else tiny.params()
    flat = {path: np.asarray(leaf) for path, leaf in flatten(params).items()}
    trainable, frozen = partition(flat, ((frozen, "frozen"), (".", 1.0)))
    shardings, rows = None, batch()
    if data_fsdp is not None:
        mesh = mesh_of(*data_fsdp)
        shardings = sharding.param_shardings(
            {path: leaf.shape for path, leaf in flat.items()}, mesh, RULES
        )

        def position(params):
            return {path: jax.device_put(leaf, shardings[path]) for path, leaf in params.items()}

        trainable, frozen, rows = (
            position(trainable),
            position(frozen),
            sharding.global_batch(rows, mesh, ROWS),
        )
    function = make_loss_and_gradients(remat_model(remat), objective, shardings, microbatch_rows)
    return jax.jit(function).lower(trainable, frozen, rows).compile(), (trainable, frozen, rows)


def run(*args, **options):
    function, arguments = compiled(*args, **options)
    return jax.tree.map(np.asarray, function(*arguments))


def mesh_of(data, fsdp):
    devices = jax.devices()[: data * fsdp]
    return jax.make_mesh(
        (data, fsdp), sharding.BATCH_AXES, axis_types=(AxisType.Auto,) * 2, devices=devices
    )


@functools.cache
def expected(objective):
    """On a single device, without micro-batches."""
    found = run(objective)
    assert all(found[1][name].count > 0 for name in objective.objectives)
    return found


def assert_same(found, wanted):
    """To one part in 10⁵, because the order of sums differs."""
    (total, losses, gradients), (wanted_total, wanted_losses, wanted_gradients) = found, wanted
    np.testing.assert_allclose(total, wanted_total, rtol=1e-5)
    for name, mean in wanted_losses.items():
        assert losses[name].count == mean.count
        np.testing.assert_allclose(losses[name].sum, mean.sum, rtol=1e-5)
    assert gradients.keys() == wanted_gradients.keys()
    for path, gradient in wanted_gradients.items():
        scale = max(1.0, np.abs(gradient).max())
        np.testing.assert_allclose(gradients[path], gradient, atol=1e-5 * scale, err_msg=path)


FULL = pytest.mark.soak
FULL_CASES = list(
    itertools.product((PAPER, ACROSS, CONTRASTS), ((1, 1), (2, 1), (1, 4), (4, 2)), (None, 8))
)


@pytest.mark.parametrize(
    ("objective", "data", "fsdp", "microbatch_rows"),
    [
        (PAPER, 8, 1, None),
        (PAPER, 2, 4, None),
        (PAPER, 2, 2, 4),
        (ACROSS, 1, 8, None),
        (ACROSS, 2, 1, 2),
        (OURS, 2, 1, 4),
        (CONTRASTS, 2, 2, 4),
        *(pytest.param(o, *mesh, rows, marks=FULL) for o, mesh, rows in FULL_CASES),
    ],
)
def test_on_any_mesh_and_in_micro_batches_of_it(objective, data, fsdp, microbatch_rows):
    found = run(objective, (data, fsdp), microbatch_rows=microbatch_rows)
    assert_same(found, expected(objective))


@pytest.mark.parametrize(
    ("objective", "microbatch_rows"),
    [
        (PAPER, 2),
        (ACROSS, 4),
        *(pytest.param(o, 1, marks=FULL) for o in (PAPER, ACROSS, CONTRASTS)),
    ],
)
def test_in_micro_batches_on_one_device(objective, microbatch_rows):
    assert_same(run(objective, microbatch_rows=microbatch_rows), expected(objective))


@pytest.mark.parametrize(
    ("objective", "policy", "mesh"),
    [
        (PAPER, "full", None),
        (PAPER, "dots", (2, 4)),
        (CONTRASTS, "full", None),
        pytest.param(PAPER, "dots", None, marks=FULL),
        pytest.param(PAPER, "full", (2, 4), marks=FULL),
        pytest.param(CONTRASTS, "dots", None, marks=FULL),
        pytest.param(CONTRASTS, "dots", (2, 4), marks=FULL),
        pytest.param(CONTRASTS, "full", (2, 4), marks=FULL),
    ],
)
def test_with_every_remat_policy(objective, policy, mesh):
    assert_same(run(objective, mesh, remat=policy), expected(objective))


def test_frozen_towers_change_no_other_gradient_and_keep_nothing_for_the_backward_pass():
    function, arguments = compiled(PAPER, frozen="^text/|inv_freq")
    total, losses, gradients = jax.tree.map(np.asarray, function(*arguments))
    wanted = expected(PAPER)
    assert_same(
        (total, losses, gradients),
        (*wanted[:2], {path: x for path, x in wanted[2].items() if path in gradients}),
    )
    assert not any(path.startswith("text/") for path in gradients)
    # The trained tower saves at least each layer's input, [layers, R, L, D]; the frozen one saves
    # nothing.
    kept = f"f32[2,{ROWS},{tiny.TEXT_TOKENS},32]"
    assert kept not in function.as_text()
    assert kept in compiled(PAPER)[0].as_text()


def test_on_a_device_no_weights_are_whole_but_one_layers_and_no_logits_but_its_own():
    text = compiled(PAPER, (2, 4))[0].as_text()
    slots = ROWS * SLOTS
    assert f"[{slots // 8},{slots}]" in text
    assert f"[{slots},{slots}]" not in text
    # The feed-forward kernel: a shard of the stack and one full layer, never the full stack.
    assert "[2,32,16]" in text
    assert "[2,32,64]" not in text
    assert "[1,32,64]" in text or "[32,64]" in text


@pytest.mark.parametrize("microbatch_rows", [3, 4])
def test_micro_batches_that_do_not_divide_the_rows_or_the_devices_are_refused(microbatch_rows):
    with pytest.raises(UserError, match="batch.microbatch_rows=[34] .*batch.rows=8 .*8 devices"):
        compiled(PAPER, (8, 1), microbatch_rows=microbatch_rows)

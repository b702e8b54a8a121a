"""Objectives of a packed batch: packing changes nothing, slots do not leak, gradients are right."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.protanno.record import Feature
from data_pipelines.tokenizers.protein_tokenizer import MASK
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.training.forward import contrast, embed_records, forward_pass, gumbel_noise
from protclip_jax.training.gradients import make_loss_and_gradients
from protclip_jax.training.optimizer import flatten
from tests.support import numpy_reference as ref
from tests.support import tiny

ALL = ObjectiveConfig()
OURS = ObjectiveConfig(
    features=0.3,
    negatives="late_interaction",
    pooling="residue",
    prototypes=False,
    prefix_tokens=tiny.text_tokenizer().prefix_tokens,
)
"""All departures from the paper at once."""
NAMES = tuple(ALL.weights)


@functools.cache
def compiled(attention, objective):
    model = tiny.model(attention)

    def losses(params, batch):
        noise = gumbel_noise(batch.noise_seeds, model.config.num_prototypes)
        embeddings, losses = forward_pass(model, params, batch, objective, noise)
        return losses | contrast(model, params, embeddings, batch, objective)

    return jax.jit(losses)


@functools.cache
def gradients(objective):
    """(total loss, flat gradients) of flat parameters and a batch."""
    loss_and_gradients = jax.jit(make_loss_and_gradients(tiny.model(), objective))

    def run(params, batch):
        total, _, found = loss_and_gradients(flatten(params), {}, batch)
        return total, found

    return run


@pytest.fixture(scope="module")
def six():
    """Six examples; each record's features assign residues to each of three properties."""
    features = (Feature("ACT_SITE", 2, 4), Feature("SIGNAL", 1, 3), Feature("DOMAIN", 5, 9))
    return tiny.examples(
        [dataclasses.replace(record, features=features) for record in tiny.records(6)]
    )


def alone(examples):
    return [[example] for example in examples]


def packed(examples):
    return [
        [examples[4], examples[1], examples[3]],
        [],
        [examples[0]],
        [examples[5], examples[2]],
        [],
        [],
    ]


@pytest.mark.parametrize("attention", ["dense", "blockwise"])
def test_losses_do_not_depend_on_the_packing(six, attention):
    run = compiled(attention, ALL)
    expected = run(tiny.params(), tiny.pack(alone(six)))
    got = run(tiny.params(), tiny.pack(packed(six)))
    for name in NAMES:
        assert expected[name].count > 0
        np.testing.assert_allclose(got[name].count, expected[name].count)
        np.testing.assert_allclose(got[name].sum, expected[name].sum, rtol=1e-5)


def test_both_attention_backends_give_the_same_losses(six):
    batch = tiny.pack(packed(six))
    dense, blockwise = (
        compiled(name, ALL)(tiny.params(), batch) for name in ("dense", "blockwise")
    )
    chex.assert_trees_all_close(dense, blockwise, rtol=1e-5)


@pytest.mark.parametrize("objective", [ALL, OURS], ids=["paper", "ours"])
def test_all_after_the_towers_equals_numpy(six, objective):
    """Every loss of the packed batch in float64 NumPy, from each record's own tower outputs."""
    model, params, batch = tiny.model(), tiny.params(), tiny.pack(alone(six))
    heads = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    apply = jax.jit(
        functools.partial(model.apply, {"params": params}, method="encode_protein"),
        static_argnums=3,
    )
    text_rows = jax.tree.map(
        jnp.asarray, (batch.text_tokens, batch.text_segment_ids, batch.text_positions)
    )
    text = model.apply({"params": params}, *text_rows, method="encode_text")
    noise = np.asarray(
        gumbel_noise(jnp.asarray(batch.noise_seeds), model.config.num_prototypes), np.float64
    )

    def hidden(mask):
        tokens = np.where(mask, 32, batch.protein_tokens)
        return np.asarray(
            apply(tokens, batch.protein_slot_ids, batch.protein_positions, tiny.SLOTS), np.float64
        )

    clean, mlm, bsr = (
        hidden(np.zeros_like(batch.mlm_mask)),
        hidden(batch.mlm_mask),
        hidden(batch.segment_mask),
    )
    proteins, texts, records, sums = [], [], [], {"mlm": 0.0, "bsr": 0.0}
    for row, example in enumerate(six):
        n, targets = example.protein_length, example.protein_tokens
        of_property = {
            k: np.asarray(text[row], np.float64)[batch.text_segment_ids[row] == k + 1]
            for k in range(5)
            if example.text_hashes[k]
        }
        proteins.append(
            ref.unit(ref.projection(clean[row, :n].mean(0), heads["protein_projection"]))
        )
        texts.append(ref.unit(ref.projection(of_property[0].mean(0), heads["text_projection"])))
        vectors = {}
        for k in of_property.keys() - {0}:
            # The prefix follows [CLS].
            skipped = (
                np.arange(1, 1 + objective.prefix_tokens[k - 1]) if objective.prefix_tokens else []
            )
            tokens = np.delete(of_property[k], skipped, axis=0)
            vectors[k] = ref.projection(tokens.mean(0), heads["text_projection"])
            if objective.prototypes:
                bank, temperature = (
                    heads["prototype_bank"]["prototypes"],
                    model.config.prototype_temperature,
                )
                vectors[k] = ref.prototype(vectors[k], bank, noise[row, 0, k - 1], temperature)
        # Residues only, without <cls> and <eos>.
        residues = ref.projection(clean[row, 1 : n - 1], heads["protein_projection"])
        marked = {2: range(1, 4), 3: range(3), 4: range(4, 9)}
        texts_of = dict(enumerate(example.text_hashes.tolist()))
        records.append({"p": residues, "t": vectors, "texts": texts_of, "marked": marked})
        logits = ref.token_head(mlm[row, :n], heads["mlm_head"])
        sums["mlm"] += ref.masked_cross_entropy(logits, targets, example.mlm_mask)
        tokens = ref.projection(bsr[row, :n], heads["protein_projection"])
        read = ref.cross_attention(
            tokens,
            ref.projection(of_property[0], heads["text_projection"]),
            heads["cross_attention"],
        )
        logits = ref.token_head(tokens + read, heads["bsr_head"])
        sums["bsr"] += ref.masked_cross_entropy(logits, targets, example.segment_mask)
    sums["gc"] = ref.global_contrastive(proteins, texts, float(heads["logit_scale"]["log"]))
    scale = float(heads["segment_logit_scale"]["log"])
    if objective is ALL:
        sums["pda"], count = ref.segment_alignment(records, ALL.theta, scale, ALL.negatives)
    else:
        rows = packed(records)
        sums["pda"], count = ref.late_interaction(rows, OURS.theta, scale, OURS.pooling)
        sums["features"], marked_properties = ref.feature_alignment(rows, scale)

    losses = compiled("blockwise", objective)(params, tiny.pack(packed(six)))
    assert losses.keys() == sums.keys()
    assert losses["pda"].count == count > 0
    if objective is OURS:
        assert losses["features"].count == marked_properties > 0
    for name, expected in sums.items():
        np.testing.assert_allclose(losses[name].sum, expected, rtol=2e-5, err_msg=name)


SINGLE = dataclasses.replace(OURS, masked_passes="single")


@pytest.mark.parametrize("objective", [ALL, OURS, SINGLE], ids=["paper", "ours", "single pass"])
def test_embeddings_and_counts_are_the_same_without_the_masked_passes(six, objective):
    model, batch = tiny.model(), jax.tree.map(jnp.asarray, tiny.pack(packed(six)))
    noise = gumbel_noise(batch.noise_seeds, model.config.num_prototypes)
    found, counts = jax.jit(lambda params: embed_records(model, params, batch, objective, noise))(
        tiny.params()
    )
    embeddings, losses = jax.jit(
        lambda params: forward_pass(model, params, batch, objective, noise)
    )(tiny.params())
    chex.assert_trees_all_close(found, embeddings, rtol=1e-5, atol=1e-6)
    assert counts == {name: loss.count for name, loss in losses.items()}


def test_counts_are_the_records_residues_and_proteins(six):
    batch = tiny.pack(packed(six))
    losses = compiled("blockwise", ALL)(tiny.params(), batch)
    assert losses["gc"].count == 6
    assert losses["mlm"].count == sum(example.mlm_mask.sum() for example in six)
    assert losses["bsr"].count == sum(example.segment_mask.sum() for example in six)
    assert losses["pda"].count == sum((example.text_hashes[1:] != 0).sum() >= 2 for example in six)


# What a change to one record may affect: all embeddings of other slots must stay identical.
@pytest.mark.parametrize("attention", ["dense", "blockwise"])
def test_nothing_leaks_between_slots(six, attention):
    model = tiny.model(attention)

    @jax.jit
    def embed(params, batch):
        def run(m):
            hidden = m.encode_protein(
                batch.protein_tokens, batch.protein_slot_ids, batch.protein_positions, tiny.SLOTS
            )
            text = m.encode_text(batch.text_tokens, batch.text_segment_ids, batch.text_positions)
            p, t = m.project_protein_tokens(hidden), m.project_text_tokens(text)
            attended = m.attend_to_biotext(p, batch.protein_slot_ids, t, batch.text_slot_ids)
            embedded = m.embed_proteins(hidden, batch.protein_slot_ids, tiny.SLOTS)
            return (
                embedded,
                m.project_text_segments(text, batch.text_segment_ids, tiny.SLOTS),
                attended,
            )

        return model.apply({"params": params}, method=run)

    batch = tiny.pack(packed(six))
    changed_protein, changed_text = batch.protein_tokens.copy(), batch.text_tokens.copy()
    hit_p, hit_t = batch.protein_slot_ids[0] == 2, batch.text_slot_ids[0] == 2
    changed_protein[0, hit_p] = np.roll(changed_protein[0, hit_p], 3)
    changed_text[0, hit_t] = np.roll(changed_text[0, hit_t], 3)
    before = embed(tiny.params(), batch)
    after = embed(
        tiny.params(), batch._replace(protein_tokens=changed_protein, text_tokens=changed_text)
    )

    others = np.ones((6, tiny.SLOTS), bool)
    others[0, 1] = False
    for x, y in zip(before[:2], after[:2], strict=True):
        np.testing.assert_array_equal(np.asarray(x)[others], np.asarray(y)[others])
        assert np.abs(np.asarray(x)[0, 1] - np.asarray(y)[0, 1]).max() > 1e-3
    other_tokens = ~((np.arange(6)[:, None] == 0) & (batch.protein_slot_ids == 2))
    np.testing.assert_array_equal(
        np.asarray(before[2])[other_tokens], np.asarray(after[2])[other_tokens]
    )


REACHED = {
    "gc": {"protein", "text", "protein_projection", "text_projection", "logit_scale"},
    "mlm": {"protein", "mlm_head"},
    "bsr": {
        "protein",
        "text",
        "protein_projection",
        "text_projection",
        "cross_attention",
        "bsr_head",
    },
    "pda": {"protein", "protein_projection", "prototype_bank", "segment_logit_scale"},
    "features": {
        "protein",
        "text",
        "protein_projection",
        "text_projection",
        "prototype_bank",
        "segment_logit_scale",
    },
    "sigmoid": {
        "protein",
        "text",
        "protein_projection",
        "text_projection",
        "sigmoid_scale",
        "sigmoid_bias",
    },
    "matryoshka": {"protein", "text", "protein_projection", "text_projection", "logit_scale"},
}
"""Parameter groups that each objective trains; the gradient of all others is exactly zero."""


def only(name, **options):
    """Only the named objective."""
    return ObjectiveConfig(**{other: float(other == name) for other in REACHED}, **options)


def check_reached(six, objective, reached):
    params = tiny.sigmoid_params() if objective.sigmoid else tiny.params()
    _, grads = gradients(objective)(params, tiny.pack(packed(six)))
    norms = {path: float(jnp.abs(leaf).max()) for path, leaf in grads.items()}
    assert {path.partition("/")[0] for path, norm in norms.items() if norm} == reached
    of_reached = [path for path in norms if path.partition("/")[0] in reached]
    still = {path for path in of_reached if norms[path] < 1e-12}
    # Within a trained group everything moves except the rotary frequencies and biases that shift
    # all scores of a softmax.
    assert still <= {"protein/rotary_inv_freq", "cross_attention/key/bias"}
    assert ("protein/rotary_inv_freq" in still) == ("protein" in reached)


@pytest.mark.parametrize("name", REACHED)
def test_gradients_reach_exactly_the_right_parameters(six, name):
    check_reached(six, only(name), REACHED[name])


@pytest.mark.parametrize("negatives", ["within_record", "late_interaction"])
def test_with_text_gradient_pda_moves_the_texts_too(six, negatives):
    objective = only("pda", text_gradient=True, negatives=negatives)
    check_reached(six, objective, REACHED["pda"] | {"text", "text_projection"})


def test_the_gradient_of_pda_with_fixed_texts_is_a_part_of_the_one_that_moves_them(six):
    batch = tiny.pack(packed(six))
    value, fixed = gradients(only("pda"))(tiny.params(), batch)
    same, moving = gradients(only("pda", text_gradient=True))(tiny.params(), batch)
    assert float(value) == float(same)
    for group in REACHED["pda"]:
        of_group = {path for path in fixed if path.startswith(f"{group}/")}
        for path in of_group:
            np.testing.assert_allclose(fixed[path], moving[path], rtol=1e-4, atol=1e-7)


def test_a_shared_pass_hides_both_masks_and_reads_each_loss_at_its_own(six):
    shared = tiny.examples(tiny.records(6), passes="shared")
    batch = tiny.pack(packed(shared))
    assert not (batch.mlm_mask & batch.segment_mask).any()
    together = compiled("blockwise", ObjectiveConfig(masked_passes="shared"))(tiny.params(), batch)
    # With separate passes, using the union of both masks in each pass gives the hidden states of
    # the shared pass.
    union = batch.mlm_mask | batch.segment_mask
    by_mlm = compiled("blockwise", ALL)(tiny.params(), batch._replace(mlm_mask=union))["mlm"]
    assert together["mlm"].count + together["bsr"].count == by_mlm.count
    both_masks = compiled("blockwise", ALL)(
        tiny.params(), batch._replace(mlm_mask=union, segment_mask=union)
    )
    at_segments = compiled("blockwise", ObjectiveConfig(masked_passes="shared"))(
        tiny.params(), batch._replace(mlm_mask=np.zeros_like(union), segment_mask=union)
    )
    np.testing.assert_allclose(both_masks["bsr"].sum, at_segments["bsr"].sum, rtol=1e-5)


def test_an_objective_alone_reads_the_same_shared_pass(six):
    batch = tiny.pack(packed(tiny.examples(tiny.records(6), passes="shared")))
    together = compiled("blockwise", ObjectiveConfig(masked_passes="shared"))(tiny.params(), batch)
    alone = ObjectiveConfig(gc=0.0, mlm=0.0, pda=0.0, masked_passes="shared")
    np.testing.assert_allclose(
        compiled("blockwise", alone)(tiny.params(), batch)["bsr"].sum,
        together["bsr"].sum,
        rtol=1e-6,
    )


def test_in_a_single_pass_contrasts_read_the_masked_proteins(six):
    """Applies the masks to the proteins themselves; masked objectives read the shared pass."""
    made = tiny.examples(tiny.records(6), passes="single")
    batch = tiny.pack(packed(made))
    single = compiled("blockwise", ObjectiveConfig(masked_passes="single"))(tiny.params(), batch)
    hidden = np.where(batch.mlm_mask | batch.segment_mask, MASK, batch.protein_tokens)
    written = compiled("blockwise", ObjectiveConfig(mlm=0.0, bsr=0.0))(
        tiny.params(), batch._replace(protein_tokens=hidden)
    )
    unmasked = compiled("blockwise", ObjectiveConfig(mlm=0.0, bsr=0.0))(tiny.params(), batch)
    shared = compiled("blockwise", ObjectiveConfig(masked_passes="shared"))(tiny.params(), batch)
    np.testing.assert_allclose(single["gc"].sum, written["gc"].sum, rtol=1e-5)
    assert abs(single["gc"].sum - unmasked["gc"].sum) > 1e-3
    for name in ("mlm", "bsr"):
        np.testing.assert_allclose(single[name].sum, shared[name].sum, rtol=1e-5)


def degenerate():
    made = tiny.examples(tiny.records(6))
    empty = tiny.pack([[]] * 6)
    batch = tiny.pack(packed(made))
    return {
        "one record": tiny.pack([[made[3]]] + [[]] * 5),
        "one property": tiny.pack([[made[0]], [made[4]]] + [[]] * 4),
        "nothing masked": batch._replace(
            mlm_mask=np.zeros_like(batch.mlm_mask), segment_mask=np.zeros_like(batch.mlm_mask)
        ),
        "all residues alike": batch._replace(
            protein_tokens=np.where(batch.protein_tokens > 2, 5, batch.protein_tokens)
        ),
        "every record the same": tiny.pack([[made[3]] * 3] * 2 + [[]] * 4),
        "no record": empty,
    }


@pytest.mark.parametrize("objective", [ALL, OURS], ids=["paper", "ours"])
@pytest.mark.parametrize("case", list(degenerate()))
def test_degenerate_batches_give_finite_losses_and_gradients(case, objective):
    value, grads = gradients(objective)(tiny.params(), degenerate()[case])
    chex.assert_tree_all_finite((value, grads))
    if case == "no record":
        assert value == 0
        assert all(float(jnp.abs(leaf).max()) == 0 for leaf in jax.tree.leaves(grads))


def test_noise_belongs_to_the_record_and_not_to_its_place():
    seeds = jnp.array([[3, 5], [5, 0]], jnp.uint32)
    noise = gumbel_noise(seeds, 16)
    chex.assert_shape(noise, (2, 2, 4, 16))
    np.testing.assert_array_equal(noise[0, 1], noise[1, 0])
    assert np.abs(noise[0, 0] - noise[0, 1]).min() > 0
    # Gumbel(0, 1): mean 0.577, variance π²/6.
    many = np.asarray(gumbel_noise(jnp.arange(200, dtype=jnp.uint32)[None], 64))
    assert abs(many.mean() - 0.5772) < 0.02
    assert abs(many.var() - np.pi**2 / 6) < 0.05

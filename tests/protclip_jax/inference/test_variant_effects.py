"""Scores of variants against float64 formulas and `EsmForMaskedLM`, and what they do not depend
on."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.substitutions import AMINO_ACIDS, single_substitutions, substituted
from data_pipelines.tokenizers import protein_tokenizer
from protclip_jax import ProtCLIP
from protclip_jax.distributed import sharding
from protclip_jax.inference import variant_effects
from protclip_jax.inference.variant_effects import (
    JOINTLY,
    METHODS,
    SINGLY,
    WILD_TYPE,
    parse_variants,
)
from protclip_jax.inference.windows import Windows
from protclip_jax.models.protclip import ProtCLIPModel
from tests.support import numpy_reference as ref
from tests.support import tiny
from tests.support.hf_weights import relative_error
from tests.support.tiny import CONFIG

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
MUTATIONS = ["K2A", "T3W:A4G", "M1L:H18C:Q33V", "Q9E"]
MESH = sharding.make_mesh(-1, 1)


@pytest.fixture(scope="module")
def model():
    tokenizer = tiny.text_tokenizer()
    return ProtCLIP(tiny.model(), tiny.params(), tokenizer, config=CONFIG, mesh=MESH)


@jax.jit
def tower(tokens, slot_ids, positions):
    rows = tokens, slot_ids, positions
    return tiny.model().apply({"params": tiny.params()}, *rows, 1, method="encode_protein")


@functools.cache
def log_probabilities(sequence, masked):
    """float64 [residues, 33] of the MLM head over the tower's vectors of one protein, alone in a
    row."""
    tokens = protein_tokenizer.encode(sequence)
    tokens[np.array(masked, int) + 1] = protein_tokenizer.MASK
    ids, positions = np.ones(tokens.size, np.int32), np.arange(tokens.size, dtype=np.int32)
    rows = [np.pad(x, (0, 64 - tokens.size))[None] for x in (tokens, ids, positions)]
    hidden = np.asarray(tower(*rows)[0, : tokens.size], np.float64)
    head = jax.tree.map(lambda x: np.asarray(x, np.float64), tiny.params()["mlm_head"])
    return np.log([ref.softmax(row) for row in ref.token_head(hidden, head)])[1:-1]


def expected(of_masked, sequence, changes, method):
    """The method's formula over `of_masked`, which gives log p [residues, V] for masked
    positions."""
    positions, total = [change.index for change in changes], 0.0
    for change in changes:
        masked = {JOINTLY: tuple(positions), SINGLY: (change.index,), WILD_TYPE: ()}[method]
        row = of_masked(sequence, masked)[change.index]
        tokens = [protein_tokenizer.VOCABULARY.index(x) for x in (change.residue, change.wild_type)]
        total += row[tokens[0]] - row[tokens[1]]
    return total


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_the_float64_formulas(model, method):
    scores = model.variant_effects(SEQUENCE, MUTATIONS, method=method)
    variants = parse_variants(MUTATIONS, SEQUENCE, first_position=1)
    reference = [expected(log_probabilities, SEQUENCE, own, method) for own in variants]
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, reference, atol=2e-5)


def test_the_methods_differ_where_they_should(model):
    by_method = {name: model.variant_effects(SEQUENCE, MUTATIONS, method=name) for name in METHODS}
    difference = np.abs(by_method[JOINTLY] - by_method[SINGLY])
    assert difference[[0, 3]].max() < 1e-5
    assert difference[[1, 2]].min() > 1e-3
    assert np.abs(by_method[SINGLY] - by_method[WILD_TYPE]).min() > 1e-3


def masked_lm():
    """A random float64 `EsmForMaskedLM`, and a `ProtCLIP` with its weights in float32."""
    torch = pytest.importorskip("torch")
    from transformers import EsmConfig, EsmForMaskedLM

    from protclip_jax.convert.hf import esm2_params
    from protclip_jax.models.esm2 import ESM2Config
    from tests.support.hf_weights import random_tensors

    tower = tiny.model().config.protein
    config = EsmConfig(
        vocab_size=33,
        mask_token_id=protein_tokenizer.MASK,
        pad_token_id=protein_tokenizer.PAD,
        hidden_size=tower.hidden_size,
        num_hidden_layers=tower.num_layers,
        num_attention_heads=tower.num_heads,
        intermediate_size=tower.intermediate_size,
        layer_norm_eps=1e-5,
        position_embedding_type="rotary",
        token_dropout=True,
        emb_layer_norm_before=False,
    )
    reference = EsmForMaskedLM(config).eval()
    random_tensors(reference, seed=4)
    # Input and output embeddings are tied, so that the state is what was loaded last.
    tensors = {name: tensor.numpy().copy() for name, tensor in reference.state_dict().items()}
    of_tower = {name: x for name, x in tensors.items() if not name.startswith("lm_head.")}
    head = {
        "input": {
            "kernel": tensors["lm_head.dense.weight"].T,
            "bias": tensors["lm_head.dense.bias"],
        },
        "norm": {
            "scale": tensors["lm_head.layer_norm.weight"],
            "bias": tensors["lm_head.layer_norm.bias"],
        },
        "output": {"kernel": tensors["lm_head.decoder.weight"].T, "bias": tensors["lm_head.bias"]},
    }
    assert isinstance(tower, ESM2Config)
    params = {"protein": esm2_params(of_tower, tower), "mlm_head": head}
    shape = dataclasses.replace(tiny.model().config, projection_dim=tower.hidden_size)
    ours = ProtCLIP(ProtCLIPModel(shape), jax.device_put(params), None, config=CONFIG, mesh=MESH)
    reference.double()

    @functools.cache
    def of_masked(sequence, masked):
        tokens = protein_tokenizer.encode(sequence)
        tokens[np.array(masked, int) + 1] = protein_tokenizer.MASK
        with torch.no_grad():
            logits = reference(torch.from_numpy(tokens).long()[None]).logits[0]
        return torch.log_softmax(logits, -1).numpy()[1:-1]

    return ours, of_masked


def test_scores_are_those_of_esm_for_masked_lm():
    ours, of_masked = masked_lm()
    variants = parse_variants(MUTATIONS, SEQUENCE, first_position=1)
    for method in METHODS:
        reference = [expected(of_masked, SEQUENCE, own, method) for own in variants]
        scores = ours.variant_effects(SEQUENCE, MUTATIONS, method=method)
        assert relative_error(scores, reference) < 1e-5
    table = ours.substitution_scores(SEQUENCE)
    singles = single_substitutions(SEQUENCE)
    reference = [expected(of_masked, SEQUENCE, own, SINGLY) for own in singles]
    found = [table[own[0].index, AMINO_ACIDS.index(own[0].residue)] for own in singles]
    assert relative_error(found, reference) < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_batch_mates_and_slices_of_passes_change_nothing(model, method, monkeypatch):
    others = [record.sequence for record in tiny.records(12, seed=2)]
    sequences = [*others[:6], SEQUENCE, *others[6:]]
    variants = [single_substitutions(sequence)[::3] for sequence in sequences]
    together = model.variant_scores(sequences, variants, method=method)
    alone = model.variant_scores([SEQUENCE], [variants[6][::-1]], method=method)[0]
    np.testing.assert_allclose(together[6], alone[::-1], atol=2e-5)
    monkeypatch.setattr(variant_effects, "TOKENS_AT_ONCE", 90)
    in_slices = model.variant_scores(sequences, variants, method=method)
    for whole, sliced in zip(together, in_slices, strict=True):
        np.testing.assert_allclose(sliced, whole, atol=2e-5)


def test_a_masked_position_is_read_in_the_window_around_it(model):
    windows = Windows(max_residues=12, overlap=4)
    for method in (JOINTLY, SINGLY):
        found = model.variant_effects(
            SEQUENCE, ["S17A", "M1L", "Q33V"], method=method, windows=windows
        )
        cut = [("S17A", 10), ("M1L", 0), ("Q33V", 21)]
        for score, (mutation, start) in zip(found, cut, strict=True):
            piece = SEQUENCE[start : start + 12]
            (alone,) = model.variant_effects(piece, [mutation], first_position=1 + start)
            assert score == pytest.approx(alone, abs=2e-5)
    # Of M1 and H18, no window holds both; of S17 and H18, the one around each does.
    (apart,) = model.variant_effects(SEQUENCE, ["M1L:H18C"], windows=windows)
    singly = model.variant_effects(SEQUENCE, ["M1L", "H18C"], windows=windows)
    assert apart == pytest.approx(singly.sum(), abs=2e-5)
    (near,) = model.variant_effects(SEQUENCE, ["S17A:H18C"], windows=windows)
    halves = []
    for mutation, start in (("S17A", 10), ("H18C", 11)):
        (change,) = parse_variants([mutation], SEQUENCE, first_position=1)[0]
        row = log_probabilities(SEQUENCE[start : start + 12], (16 - start, 17 - start))
        columns = [
            protein_tokenizer.VOCABULARY.index(x) for x in (change.residue, change.wild_type)
        ]
        halves.append(np.subtract(*row[change.index - start, columns]))
    assert near == pytest.approx(sum(halves), abs=2e-5)


def test_wild_type_logits_are_the_mean_over_windows(model):
    windows = Windows(max_residues=15, overlap=5)
    total, count = np.zeros((len(SEQUENCE), 33)), np.zeros((len(SEQUENCE), 1))
    for piece in windows.pieces(len(SEQUENCE)):
        total[piece] += log_probabilities(SEQUENCE[piece], ())
        count[piece] += 1
    columns = [protein_tokenizer.VOCABULARY.index(letter) for letter in AMINO_ACIDS]
    means = (total / count)[:, columns]
    own = means[np.arange(len(SEQUENCE)), [AMINO_ACIDS.index(x) for x in SEQUENCE]]
    table = model.substitution_scores(SEQUENCE, method=WILD_TYPE, windows=windows)
    np.testing.assert_allclose(table, means - own[:, None], atol=2e-5)


@pytest.mark.parametrize("policy", ["windows", "truncate", "whole"])
@pytest.mark.parametrize("method", METHODS)
def test_windows_change_nothing_of_a_protein_that_fits(model, policy, method):
    windows = Windows(policy, max_residues=len(SEQUENCE), overlap=3)
    usual = model.variant_effects(SEQUENCE, MUTATIONS, method=method)
    np.testing.assert_array_equal(
        model.variant_effects(SEQUENCE, MUTATIONS, method=method, windows=windows), usual
    )


def test_a_scan_has_every_substitution_and_nothing_at_other_letters(model):
    sequence = "MKXTUA"
    table = model.substitution_scores(sequence)
    assert table.shape == (6, 20)
    np.testing.assert_array_equal(np.isnan(table).all(1), [False, False, True, False, True, False])
    singles = single_substitutions(sequence)
    assert len(singles) == 4 * 19
    scores = model.variant_scores([sequence], [singles])[0]
    found = [table[own[0].index, AMINO_ACIDS.index(own[0].residue)] for own in singles]
    np.testing.assert_allclose(found, scores, atol=2e-5)
    assert table[0, AMINO_ACIDS.index("M")] == 0
    cut = model.substitution_scores("MKTA", windows=Windows("truncate", max_residues=2, overlap=1))
    np.testing.assert_array_equal(np.isnan(cut).all(1), [False, False, True, True])


def test_few_programs_are_compiled(model):
    before = variant_effects.amino_acid_logits._cache_size()
    for length in (40, 61, 120):
        model.substitution_scores((SEQUENCE * 8)[:length])
    # One row length each for short and for bulk inputs, in whole batches.
    assert variant_effects.amino_acid_logits._cache_size() - before <= 2


def test_changes_of_the_texts_cosine(model, monkeypatch):
    variants = parse_variants(MUTATIONS, SEQUENCE, first_position=1)
    text = "FUNCTION: abc."
    changes = model.text_changes(SEQUENCE, variants, text)
    proteins = [SEQUENCE, *(substituted(SEQUENCE, own) for own in variants)]
    cosines = model.similarity(model.encode_proteins(proteins), model.encode_texts([text]))[:, 0]
    np.testing.assert_allclose(changes, cosines[1:] - cosines[0], atol=1e-6)
    assert np.abs(changes).min() > 1e-5
    monkeypatch.setattr("protclip_jax.inference.variant_effects.TOKENS_AT_ONCE", 50)
    np.testing.assert_allclose(model.text_changes(SEQUENCE, variants, text), changes, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mutations": ["K2"]}, "'K2' cannot be scored .* list of substitutions"),
        ({"mutations": ["K3A"]}, "wild-type residue .*first_position"),
        ({"mutations": ["K2A:K2C"]}, "position twice"),
        ({"mutations": ["Q34A"]}, "outside the reference"),
        ({"mutations": ["K2X"]}, "other than ACDEFGHIKLMNPQRSTVWY"),
        ({"mutations": [3]}, r"mutations\[0\] must be a str"),
        (
            {"mutations": ["K2A"], "method": "pll"},
            "method 'pll' is unknown; expected one of masked_jointly",
        ),
        (
            {"mutations": ["Q33A"], "windows": Windows("truncate", max_residues=9, overlap=1)},
            "Q33A lies beyond the first 9 residues",
        ),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(model, options, message):
    with pytest.raises(UserError, match=message):
        model.variant_effects(SEQUENCE, **options)


def test_a_checkpoint_without_the_head_says_so():
    params = {name: x for name, x in tiny.params().items() if name != "mlm_head"}
    bare = ProtCLIP(tiny.model(), params, tiny.text_tokenizer(), config=CONFIG, mesh=MESH)
    with pytest.raises(UserError, match="has no mlm_head parameters"):
        bare.variant_effects(SEQUENCE, ["K2A"])
    with pytest.raises(UserError, match="has no mlm_head parameters"):
        bare.substitution_scores(SEQUENCE)


def test_numbering_may_begin_anywhere(model):
    usual = model.variant_effects(SEQUENCE, ["K2A"])
    np.testing.assert_array_equal(model.variant_effects(SEQUENCE, "K25A", first_position=24), usual)
    np.testing.assert_array_equal(model.variant_effects(SEQUENCE, "K1A", first_position=0), usual)

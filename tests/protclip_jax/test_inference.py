"""`ProtCLIP` on a tiny model: shapes, batch invariance, checkpoints, and refusals."""

import chex
import jax
import numpy as np
import pytest

from data_pipelines.errors import UserError
from data_pipelines.record import biotext, property_texts
from protclip_jax import ProtCLIP, checkpoints, sharding, workdir
from tests.protclip_jax import tiny

CONFIG = {
    "model": {
        "protein": {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 64},
        "text": {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 64},
        "projection_dim": 16,
        "num_prototypes": 8,
        "prototype_temperature": 0.9,
        "dtype": "float32",
        "attention": "blockwise",
        "remat": "none",
    },
    "tokenizer": {"max_text_tokens": 64},
    "pda": {"theta": 0.3, "negatives": "within_record"},
}


@pytest.fixture(scope="module")
def model():
    return ProtCLIP(tiny.model(), tiny.params(), tiny.text_tokenizer(), config=CONFIG, mesh=sharding.make_mesh(-1, 1))


@pytest.fixture(scope="module")
def made():
    return tiny.records(30, seed=3)


def test_embeddings_are_unit_norm_and_do_not_depend_on_the_batch(model, made):
    sequences, texts = [record.sequence for record in made], [biotext(record) for record in made]
    for encode, inputs in ((model.encode_proteins, sequences), (model.encode_texts, texts)):
        together = encode(inputs)
        chex.assert_shape(together, (30, 16))
        assert together.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(encode(inputs[7:8])[0], together[7], atol=1e-5)
        np.testing.assert_allclose(encode(inputs[::-1]), together[::-1], atol=1e-5)
        chex.assert_shape(encode([]), (0, 16))


def test_a_long_protein_is_embedded_whole(model):
    long = "ACDEFGHIKLMNPQRSTVWY" * 30
    changed = long[:-1] + "A"
    first, second = model.encode_proteins([long, changed])
    assert np.abs(first - second).max() > 1e-6


def test_similarity_is_the_cosine(model, made):
    proteins = model.encode_proteins([made[0].sequence, made[1].sequence])
    texts = model.encode_texts([biotext(record) for record in made[:3]])
    np.testing.assert_allclose(model.similarity(proteins, texts), proteins @ texts.T)


def test_segments_are_weights_over_residues_in_the_order_asked(model, made):
    record = made[3]
    texts = property_texts(record)
    weights = model.segments(record.sequence, texts)
    chex.assert_shape(weights, (4, len(record.sequence)))
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    swapped = dict(reversed(texts.items()))
    np.testing.assert_allclose(model.segments(record.sequence, swapped), weights[::-1], atol=1e-6)
    many = model.segments_batch([r.sequence for r in made], [property_texts(r) for r in made])
    assert [len(w) for w in many] == [len(property_texts(r)) for r in made]
    np.testing.assert_allclose(many[3], weights, atol=1e-6)
    with pytest.raises(UserError, match="'colour' must be one of"):
        model.segments("ACD", {"colour": "red"})


def test_recovered_residues_come_from_the_masked_positions_and_the_text(model, made):
    sequences = [record.sequence for record in made]
    masks = [np.arange(len(sequence)) % 5 == 2 for sequence in sequences]
    texts = [biotext(record) for record in made]
    recovered = model.recover(sequences, masks, texts)
    assert [len(letters) for letters in recovered] == [int(mask.sum()) for mask in masks]
    assert set("".join(recovered)) <= set("LAGVSERTIDPKQNFYMHWCXBUZO")
    # What stands under the mask is hidden: another residue there changes nothing.
    hidden = [
        "".join("W" if hit else letter for letter, hit in zip(s, m, strict=True)) for s, m in zip(sequences, masks, strict=True)
    ]
    assert model.recover(hidden, masks, texts) == recovered
    assert model.recover(sequences, masks, texts[1:] + texts[:1]) != recovered


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    config = {**CONFIG, "total_steps": 1}
    workdir.write_metadata(folder, config, tiny.text_tokenizer())
    store = checkpoints.Checkpoints(folder, keep_best=1)
    optimizer = {"count": np.zeros((), np.int32)}
    for step, mrr in ((1, 0.2), (2, 0.5), (3, None), (4, 0.3)):
        params = jax.tree.map(lambda leaf, step=step: leaf + (step - 2), tiny.params())
        store.save(step, params=params, optimizer=optimizer, data=np.zeros((1, 3), np.int64), mrr=mrr)
    store.close()
    return folder


def test_the_best_and_the_latest_steps_are_kept_and_found(saved):
    kept = {int(path.name) for path in (saved / "checkpoints").iterdir() if path.name.isdecimal()}
    assert kept == {2, 3, 4}
    assert checkpoints.resolve_step(saved) == checkpoints.resolve_step(saved, "best") == 2
    assert checkpoints.resolve_step(saved, "latest") == 4
    assert checkpoints.resolve_step(saved, "3") == 3
    with pytest.raises(UserError, match="has no step 1; it has 2, 3, 4"):
        checkpoints.resolve_step(saved, 1)


def test_a_loaded_model_gives_the_same_numbers(saved, model, made):
    loaded = ProtCLIP.load(saved, step="best")
    sequences = [record.sequence for record in made]
    np.testing.assert_allclose(loaded.encode_proteins(sequences), model.encode_proteins(sequences), atol=1e-6)
    assert loaded.config["pda"]["theta"] == 0.3


def test_what_cannot_be_loaded_is_named(saved, tmp_path):
    with pytest.raises(UserError, match="no config.json"):
        ProtCLIP.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        ProtCLIP.load(tmp_path)
    (tmp_path / "config.json").write_text('{"format_version": 99, "config": {}}')
    with pytest.raises(UserError, match="format version 99"):
        ProtCLIP.load(tmp_path)


def test_a_checkpoint_of_another_shape_is_named(saved, tmp_path):
    other = {**CONFIG, "model": {**CONFIG["model"], "projection_dim": 24}}
    workdir.write_metadata(tmp_path, other, tiny.text_tokenizer())
    (tmp_path / "checkpoints").symlink_to(saved / "checkpoints")
    with pytest.raises(UserError, match=r"\(.*16.*\) there and should be \(.*24.*\)"):
        ProtCLIP.load(tmp_path)

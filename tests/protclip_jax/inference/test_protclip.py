"""`ProtCLIP` on a tiny model: shapes, batch invariance, checkpoints, and refusals."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import biotext, property_texts
from data_pipelines.tokenizers import protein_tokenizer
from protclip_jax import ProtCLIP
from protclip_jax.checkpoints import best, manager, metadata
from protclip_jax.checkpoints.parameters import save_params
from protclip_jax.distributed import sharding
from protclip_jax.inference import batched_calls
from protclip_jax.inference.protclip import EMBEDDING_KINDS
from protclip_jax.inference.windows import Windows
from protclip_jax.models.initialize import init_params
from protclip_jax.models.protclip import ProtCLIPModel
from tests.support import numpy_reference as ref
from tests.support import tiny
from tests.support.tiny import CONFIG


@pytest.fixture(scope="module")
def model():
    return ProtCLIP(
        tiny.model(),
        tiny.params(),
        tiny.text_tokenizer(),
        config=CONFIG,
        mesh=sharding.make_mesh(-1, 1),
    )


@pytest.fixture(scope="module")
def made():
    return tiny.records(30, seed=3)


def test_embeddings_are_unit_norm_and_do_not_depend_on_the_batch(model, made):
    sequences = [record.sequence for record in made]
    texts = [biotext(record) for record in made]
    for encode, inputs in ((model.encode_proteins, sequences), (model.encode_texts, texts)):
        together = encode(inputs)
        chex.assert_shape(together, (30, 16))
        assert together.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(encode(inputs[7:8])[0], together[7], atol=1e-5)
        np.testing.assert_allclose(encode(inputs[::-1]), together[::-1], atol=1e-5)
        chex.assert_shape(encode([]), (0, 16))


def test_random_weights_are_those_that_training_begins_with(model, made):
    untrained = model.with_random_weights()
    # Compiled and not compiled: of weights near 0, whose spread is 0.02, the last bits of that
    # scale differ.
    chex.assert_trees_all_close(
        untrained._params, init_params(tiny.model(), jax.random.key(0)), rtol=1e-5, atol=2e-9
    )
    assert untrained.fingerprint == model.with_random_weights().fingerprint != model.fingerprint
    chex.assert_shape(untrained.encode_proteins([made[0].sequence]), (1, 16))


@pytest.mark.parametrize(("tower", "other"), [("protein", "text"), ("text", "protein")])
def test_a_single_tower_has_random_weights_too(tower, other):
    whole = tiny.model()
    config = dataclasses.replace(whole.config, **{other: None})
    alone = ProtCLIP(
        ProtCLIPModel(config),
        {tower: tiny.params()[tower]},
        tiny.text_tokenizer(),
        config=CONFIG,
        mesh=sharding.make_mesh(-1, 1),
    )
    untrained = alone.with_random_weights()
    assert untrained.groups == {tower}
    chex.assert_trees_all_equal_shapes_and_dtypes(untrained._params, alone._params)
    assert untrained.fingerprint != alone.fingerprint
    if tower == "protein":
        chex.assert_shape(untrained.mean_embeddings(["MKV"]), (1, config.protein.hidden_size))
    else:
        width = config.text.hidden_size
        chex.assert_shape(untrained.mean_text_embeddings(["kinase"]), (1, width))


def test_a_str_counts_as_one_item(model, made):
    sequence, text = made[0].sequence, biotext(made[0])
    for method, item in (
        ("encode_proteins", sequence),
        ("mean_embeddings", sequence),
        ("encode_texts", text),
    ):
        encode = getattr(model, method)
        np.testing.assert_array_equal(encode(item), encode([item]))
    (residues,) = model.residue_embeddings(sequence)
    assert len(residues) == len(sequence)
    labels = {"a": "FUNCTION: abc.", "b": "FUNCTION: fed."}
    as_lists = {name: [prompt] for name, prompt in labels.items()}
    np.testing.assert_array_equal(
        model.zero_shot(sequence, labels), model.zero_shot([sequence], as_lists)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.encode_proteins(None), "sequences must be a list of str, not None"),
        (lambda m: m.encode_proteins({"a": "MKV"}), "sequences must be a list of str, not a dict"),
        (lambda m: m.encode_proteins(b"MKV"), "sequences must be a list of str, not a bytes"),
        (
            lambda m: m.encode_proteins(["MKV", float("nan")]),
            r"sequences\[1\] must be a str, not a float",
        ),
        (lambda m: m.encode_texts(["abc", None]), r"texts\[1\] must be a str, not None"),
        (lambda m: m.encode_texts(3), "texts must be a list of str, not a int"),
        (lambda m: m.encode_texts(["abc", " "]), "text 1 is empty"),
        (lambda m: m.zero_shot(["MKV"], {"a": [None]}), r"labels\['a'\]\[0\] must be a str"),
        (lambda m: m.segments("MKV", {}), "no properties given"),
    ],
)
def test_what_is_no_list_of_str_is_one_sentence(model, call, message):
    with pytest.raises(UserError, match=message):
        call(model)


def test_nucleotides_and_unknown_words_are_reported(model):
    with pytest.warns(UserWarning, match="1 of 2 sequences look like nucleotides"):
        model.encode_proteins(["ACGT" * 10, "MKV"])
    with pytest.warns(UserWarning, match="words .* not in the vocabulary: 2"):
        model.encode_texts(["protein \u03b2", "\u4e2d\u6587 name"])


def test_a_long_protein_is_embedded_whole(model):
    long = "ACDEFGHIKLMNPQRSTVWY" * 30
    changed = long[:-1] + "A"
    first, second = model.encode_proteins([long, changed])
    assert np.abs(first - second).max() > 1e-6


@jax.jit
def tower(tokens, slot_ids, positions):
    return tiny.model().apply(
        {"params": tiny.params()}, tokens, slot_ids, positions, 1, method="encode_protein"
    )


def tower_alone(sequence):
    """What the protein tower gives for one sequence in a row of its own: [tokens, D]."""
    tokens = protein_tokenizer.encode(sequence)
    padding = (0, 64 - tokens.size)
    ids, positions = np.ones(tokens.size, np.int32), np.arange(tokens.size, dtype=np.int32)
    row = [np.pad(x, padding)[None] for x in (tokens, ids, positions)]
    return np.asarray(tower(*row)[0, : tokens.size], np.float64)


def expected_projection(pooled):
    return ref.unit(
        ref.projection(
            pooled,
            jax.tree.map(lambda x: np.asarray(x, np.float64), tiny.params()["protein_projection"]),
        )
    )


def test_representations_are_means_over_the_towers_tokens(model, made):
    sequences = [record.sequence for record in made[:5]]
    results = model.represent(sequences, kinds=EMBEDDING_KINDS)
    for index, sequence in enumerate(sequences):
        hidden = tower_alone(sequence)
        np.testing.assert_allclose(results["residues"][index], hidden[1:-1], atol=2e-5)
        np.testing.assert_allclose(results["mean"][index], hidden[1:-1].mean(0), atol=2e-5)
        np.testing.assert_allclose(
            results["projected"][index], expected_projection(hidden.mean(0)), atol=2e-5
        )
    np.testing.assert_array_equal(model.mean_embeddings(sequences), results["mean"])
    np.testing.assert_array_equal(model.encode_proteins(sequences), results["projected"])
    for alone, together in zip(
        model.residue_embeddings(sequences), results["residues"], strict=True
    ):
        np.testing.assert_array_equal(alone, together)


def test_a_long_protein_is_the_mean_of_its_windows_residue_by_residue(model):
    sequence = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
    windows = Windows(max_residues=15, overlap=5)
    total, count = np.zeros((len(sequence), 32)), np.zeros((len(sequence), 1))
    ends = []
    for piece in windows.pieces(len(sequence)):
        hidden = tower_alone(sequence[piece])
        total[piece] += hidden[1:-1]
        count[piece] += 1
        ends.append(hidden[[0, -1]])
    residues = total / count
    results = model.represent([sequence, "MKT"], kinds=EMBEDDING_KINDS, windows=windows)
    np.testing.assert_allclose(results["residues"][0], residues, atol=2e-5)
    np.testing.assert_allclose(results["mean"][0], residues.mean(0), atol=2e-5)
    pooled = (residues.sum(0) + np.mean(ends, 0).sum(0)) / (len(sequence) + 2)
    np.testing.assert_allclose(results["projected"][0], expected_projection(pooled), atol=2e-5)
    with pytest.warns(
        UserWarning, match="1 of 2 proteins have more than 15 residues; policy: truncate"
    ):
        cut = model.residue_embeddings(
            [sequence, "MKT"], windows=Windows("truncate", max_residues=15, overlap=5)
        )
    np.testing.assert_allclose(cut[0], tower_alone(sequence[:15])[1:-1], atol=2e-5)


def test_sequences_are_cleaned_with_a_warning(model):
    with pytest.warns(UserWarning, match="3 lower case letters, 2 gaps"):
        written = model.encode_proteins(["mktAY", "AC--D"])
    np.testing.assert_allclose(written, model.encode_proteins(["MKTAY", "ACD"]), atol=1e-6)
    with pytest.raises(UserError, match="sequence 1 is not a protein: '1' at position 3"):
        model.encode_proteins(["MKT", "AC1D"])


def test_a_text_that_is_cut_is_reported(model):
    with pytest.warns(UserWarning, match="1 of 2 texts are longer than 64 tokens"):
        model.encode_texts(["abc " * 80, "abc"])


def test_zero_shot_is_the_softmax_over_the_labels_mean_prompts(model, made):
    sequences = [record.sequence for record in made[:3]]
    labels = {"a": ["abc", "abd e"], "b": ["fed"], "c": ["abf", "cde", "bad"]}
    probabilities = model.zero_shot(sequences, labels)
    chex.assert_shape(probabilities, (3, 3))
    proteins = model.encode_proteins(sequences).astype(np.float64)
    classes = [
        ref.unit(model.encode_texts(prompts).astype(np.float64).mean(0))
        for prompts in labels.values()
    ]
    logits = (
        min(np.exp(float(tiny.params()["logit_scale"]["log"])), 100)
        * proteins
        @ np.stack(classes).T
    )
    np.testing.assert_allclose(model.logits(proteins, np.stack(classes)), logits, rtol=1e-6)
    np.testing.assert_allclose(
        probabilities, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), rtol=1e-4
    )
    with pytest.raises(UserError, match="at least one prompt"):
        model.zero_shot(sequences, {"a": []})


def test_of_a_model_with_the_sigmoid_contrast_its_scale_and_bias_count(model, tmp_path):
    metadata.write_metadata(tmp_path, {**CONFIG, "loss": {"sigmoid": 0.5}}, tiny.text_tokenizer())
    save_params(tmp_path, jax.tree.map(jnp.asarray, tiny.sigmoid_params()))
    loaded = ProtCLIP.load(tmp_path)
    assert loaded.groups == model.groups | {"sigmoid_scale", "sigmoid_bias"}
    proteins, texts = np.random.default_rng(0).normal(size=(2, 3, 16))
    expected = np.exp(1.0) * proteins @ texts.T - 0.5
    np.testing.assert_allclose(loaded.logits(proteins, texts), expected, rtol=1e-6)


def test_the_first_dimensions_are_embeddings_of_unit_norm(model, made):
    sequences = [record.sequence for record in made[:3]]
    inputs = sequences, [biotext(record) for record in made[:3]]
    for encode, some in zip((model.encode_proteins, model.encode_texts), inputs, strict=True):
        whole = encode(some)
        expected = [ref.unit(row[:5]) for row in whole.astype(np.float64)]
        np.testing.assert_allclose(encode(some, dimensions=5), expected, atol=1e-5)
        np.testing.assert_array_equal(encode(some, dimensions=16), whole)
        for wrong in (0, 17):
            with pytest.raises(UserError, match=f"dimensions={wrong} must be from 1 to 16"):
                encode(some, dimensions=wrong)


def test_the_number_of_devices_changes_nothing(model, made):
    one = sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1), sharding.BATCH_AXES)
    alone = ProtCLIP(tiny.model(), tiny.params(), tiny.text_tokenizer(), config=CONFIG, mesh=one)
    sequences = [record.sequence for record in made]
    assert jax.device_count() == 8
    np.testing.assert_allclose(
        alone.encode_proteins(sequences), model.encode_proteins(sequences), atol=1e-5
    )


def test_a_long_example_gets_rows_of_its_own(model, made, monkeypatch):
    shapes = []
    pack_rows = batched_calls.pack_rows
    monkeypatch.setattr(
        batched_calls,
        "pack_rows",
        lambda rows, **shape: shapes.append(shape) or pack_rows(rows, **shape),
    )
    sequences = ["MKT" * 500, *(record.sequence for record in made)]
    means = model.represent(sequences, kinds=["mean"], windows=Windows("whole"))["mean"]
    assert sorted({shape["protein_tokens"] for shape in shapes}) == [1024, 2048]
    np.testing.assert_allclose(means[1:], model.mean_embeddings(sequences[1:]), atol=1e-5)


def test_fewer_tokens_a_call_give_the_same_numbers(model, made):
    sequences = [record.sequence for record in tiny.records(100, seed=4)]
    plain = model.represent(sequences, kinds=["mean"])["mean"]
    np.testing.assert_allclose(
        model.represent(sequences, kinds=["mean"], batch_tokens=1)["mean"], plain, atol=1e-5
    )


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
    all_texts = [property_texts(r) for r in made]
    many = model.segments_batch([r.sequence for r in made], all_texts)
    assert list(map(len, many)) == list(map(len, all_texts))
    np.testing.assert_allclose(many[3], weights, atol=1e-6)
    with pytest.raises(UserError, match="'colour' must be one of"):
        model.segments("ACD", {"colour": "red"})


def test_segments_are_of_the_property_vectors_that_the_config_trains_with(model, made):
    """Without prototypes and prefixes, in float64 NumPy from the towers' outputs."""
    record = made[3]
    texts = property_texts(record)
    config = CONFIG | {"pda": CONFIG["pda"] | {"prototypes": False, "mask_prefix": True}}
    chosen = ProtCLIP(
        tiny.model(),
        tiny.params(),
        tiny.text_tokenizer(),
        config=config,
        mesh=sharding.make_mesh(-1, 1),
    )
    weights = chosen.segments(record.sequence, texts)
    heads = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tiny.params())
    residues = ref.projection(
        np.float64(model.residue_embeddings([record.sequence])[0]), heads["protein_projection"]
    )
    batch = tiny.pack([tiny.examples([record])])
    text_rows = jax.tree.map(
        jnp.asarray, (batch.text_tokens, batch.text_segment_ids, batch.text_positions)
    )
    text = tiny.model().apply({"params": tiny.params()}, *text_rows, method="encode_text")
    for k, prefix in enumerate(tiny.text_tokenizer().prefix_tokens):
        tokens = np.float64(text[0])[batch.text_segment_ids[0] == k + 2]
        t = ref.projection(
            np.delete(tokens, np.arange(1, 1 + prefix), axis=0).mean(0), heads["text_projection"]
        )
        np.testing.assert_allclose(weights[k], ref.segment_weights(residues, t, 0.3), atol=1e-5)
    assert np.abs(weights - model.segments(record.sequence, texts)).max() > 1e-3


def test_a_checkpoint_older_than_the_choices_has_the_segments_of_the_paper(made):
    """Those that a config with the first choices in words has."""
    weights = []
    for pda in ({"theta": 0.3}, {"theta": 0.3, "prototypes": True, "mask_prefix": False}):
        config, mesh = CONFIG | {"pda": pda}, sharding.make_mesh(-1, 1)
        chosen = ProtCLIP(
            tiny.model(), tiny.params(), tiny.text_tokenizer(), config=config, mesh=mesh
        )
        weights.append(chosen.segments(made[3].sequence, property_texts(made[3])))
    np.testing.assert_array_equal(*weights)


def test_recovered_residues_come_from_the_masked_positions_and_the_text(model, made):
    sequences = [record.sequence for record in made]
    masks = [np.arange(len(sequence)) % 5 == 2 for sequence in sequences]
    texts = [biotext(record) for record in made]
    recovered = model.recover(sequences, masks, texts)
    assert list(map(len, recovered)) == [int(mask.sum()) for mask in masks]
    assert set("".join(recovered)) <= set("LAGVSERTIDPKQNFYMHWCXBUZO")
    # What stands under the mask is hidden: another residue there changes nothing.
    hidden = []
    for sequence, mask in zip(sequences, masks, strict=True):
        letters = ["W" if hit else letter for letter, hit in zip(sequence, mask, strict=True)]
        hidden.append("".join(letters))
    assert model.recover(hidden, masks, texts) == recovered
    assert model.recover(sequences, masks, texts[1:] + texts[:1]) != recovered


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    config = {**CONFIG, "total_steps": 1}
    metadata.write_metadata(folder, config, tiny.text_tokenizer())
    store = manager.CheckpointManager(folder, keep_best=1)
    optimizer = {"count": np.zeros((), np.int32)}
    for step, mrr in ((1, 0.2), (2, 0.5), (3, None), (4, 0.3)):
        params = jax.tree.map(lambda leaf, step=step: leaf + (step - 2), tiny.params())
        metrics = {} if mrr is None else {"retrieval/mrr": mrr}
        store.save(
            step,
            params=params,
            optimizer=optimizer,
            data=np.zeros((1, 3), np.int64),
            metrics=metrics,
        )
    store.close()
    return folder


def test_the_best_and_the_latest_steps_are_kept_and_found(saved):
    kept = {int(path.name) for path in (saved / "checkpoints").iterdir() if path.name.isdecimal()}
    assert kept == {2, 3, 4}
    assert best.resolve_step(saved) == best.resolve_step(saved, "best") == 2
    assert best.resolve_step(saved, "latest") == 4
    assert best.resolve_step(saved, "3") == 3
    with pytest.raises(UserError, match="has no step 1; it has 2, 3, 4"):
        best.resolve_step(saved, 1)


def test_a_loaded_model_gives_the_same_numbers(saved, model, made):
    loaded = ProtCLIP.load(saved, step="best")
    sequences = [record.sequence for record in made]
    np.testing.assert_allclose(
        loaded.encode_proteins(sequences), model.encode_proteins(sequences), atol=1e-6
    )
    assert loaded.config["pda"]["theta"] == 0.3


def test_a_path_may_go_up_and_through_links(saved, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(saved)
    monkeypatch.chdir(saved / "checkpoints")
    fingerprint = ProtCLIP.load(saved).fingerprint
    for path in ("..", saved / "tokenizers" / "..", tmp_path / "link", f"../../{saved.name}"):
        assert ProtCLIP.load(path).fingerprint == fingerprint


def test_what_cannot_be_loaded_is_named(saved, tmp_path):
    with pytest.raises(UserError, match="lacks config.json"):
        ProtCLIP.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        ProtCLIP.load(tmp_path)
    (tmp_path / "config.json").write_text('{"format_version": 99, "config": {}}')
    with pytest.raises(UserError, match="format version 99"):
        ProtCLIP.load(tmp_path)


def test_a_checkpoint_of_another_shape_is_named(saved, tmp_path):
    other = {**CONFIG, "model": {**CONFIG["model"], "projection_dim": 24}}
    metadata.write_metadata(tmp_path, other, tiny.text_tokenizer())
    (tmp_path / "checkpoints").symlink_to(saved / "checkpoints")
    with pytest.raises(UserError, match=r"\(.*16.*\).* should be \(.*24.*\)"):
        ProtCLIP.load(tmp_path)


@pytest.fixture(scope="module")
def lone_tower(tmp_path_factory):
    """Checkpoints that hold one tower only, by its name."""
    folders = {}
    for name in ("protein", "text"):
        folders[name] = tmp_path_factory.mktemp(name)
        absent = {"protein": "text", "text": "protein"}[name]
        config = {**CONFIG, "model": {**CONFIG["model"], absent: None}}
        metadata.write_metadata(
            folders[name], config, tiny.text_tokenizer() if name == "text" else None
        )
        save_params(folders[name], {name: tiny.params()[name]})
    return folders


def test_a_protein_tower_alone_gives_its_own_representations(lone_tower, model, made):
    loaded = ProtCLIP.load(lone_tower["protein"])
    assert loaded.groups == {"protein"}
    sequences = [record.sequence for record in made[:4]]
    np.testing.assert_allclose(
        loaded.mean_embeddings(sequences), model.mean_embeddings(sequences), atol=1e-6
    )
    with pytest.raises(UserError, match="has no protein_projection parameters, only protein"):
        loaded.encode_proteins(sequences)
    with pytest.raises(UserError, match="has no text, text_projection"):
        loaded.encode_texts(["abc"])


def test_a_text_tower_alone_loads(lone_tower):
    loaded = ProtCLIP.load(lone_tower["text"])
    assert loaded.groups == {"text"}
    with pytest.raises(UserError, match="has no protein parameters"):
        loaded.mean_embeddings(["MKT"])


def test_fingerprints_are_of_the_parameters(saved, model):
    assert ProtCLIP.load(saved, step="2").fingerprint == model.fingerprint
    assert ProtCLIP.load(saved, step="3").fingerprint != model.fingerprint

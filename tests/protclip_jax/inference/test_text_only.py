"""A checkpoint with a text tower alone, as one converted from a BERT: it gives mean embeddings,
as an ESM-2 does."""

import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from protclip_jax import ProtCLIP
from protclip_jax.checkpoints import metadata
from protclip_jax.checkpoints.parameters import save_params
from protclip_jax.embed import __main__ as embed
from tests.support import tiny
from tests.support.fake_embedder import content
from tests.support.tiny import CONFIG

TEXTS = ["FUNCTION: cleaves a bond.", "b", "SIMILARITY: abc def " * 3]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    metadata.write_metadata(
        folder, {**CONFIG, "model": CONFIG["model"] | {"protein": None}}, tiny.text_tokenizer()
    )
    save_params(folder, {"text": tiny.params()["text"]})
    return folder


def tower_alone(text):
    """What the text tower gives for one text in a row of its own: [tokens, T]."""
    tokens = tiny.text_tokenizer().encode(text, max_tokens=64)
    row = (jnp.array(tokens)[None], jnp.ones((1, tokens.size), int), jnp.arange(tokens.size)[None])
    hidden = tiny.model(attention="dense").apply(
        {"params": tiny.params()}, *row, method="encode_text"
    )
    return np.asarray(hidden[0], np.float64)


def test_a_text_is_the_mean_of_its_tokens_whatever_else_is_asked(checkpoint):
    model = ProtCLIP.load(checkpoint)
    expected = np.stack([tower_alone(text).mean(0) for text in TEXTS])
    np.testing.assert_allclose(model.mean_text_embeddings(TEXTS), expected, atol=2e-5)
    np.testing.assert_allclose(model.mean_text_embeddings(TEXTS[1:2]), expected[1:2], atol=2e-5)
    np.testing.assert_allclose(model.mean_text_embeddings("b"), expected[1:2], atol=2e-5)


def test_what_needs_more_than_the_text_tower_is_one_sentence(checkpoint):
    model = ProtCLIP.load(checkpoint)
    with pytest.raises(UserError, match="has no text_projection parameters, only text"):
        model.encode_texts(TEXTS)
    with pytest.raises(UserError, match="has no protein parameters"):
        model.mean_embeddings(["MKV"])
    with pytest.raises(UserError, match="text 0 is empty"):
        model.mean_text_embeddings([" "])


def test_embed_gives_the_same(checkpoint, tmp_path):
    (tmp_path / "x.txt").write_text("\n".join(TEXTS))
    arguments = [
        "--checkpoint",
        str(checkpoint),
        "--input",
        str(tmp_path / "x.txt"),
        "--output",
        str(tmp_path / "x.h5"),
    ]
    assert embed.main(arguments) == 0
    facts, rows = content(tmp_path / "x.h5")
    assert facts["kind"] == "mean"
    expected = ProtCLIP.load(checkpoint).mean_text_embeddings([text.strip() for text in TEXTS])
    np.testing.assert_allclose(np.array([vector for _, _, vector in rows]), expected, atol=1e-6)

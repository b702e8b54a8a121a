"""Property vectors: with and without the prefix, with and without the prototype bank."""

import functools

import jax
import numpy as np
import pytest

from data_pipelines.protanno.record import PREFIXES, PROPERTIES
from protclip_jax.models.property_vectors import property_embeddings, property_vectors
from tests.support import numpy_reference as ref
from tests.support import tiny


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("prototypes", [False, True])
def test_equals_numpy(prototypes, masked):
    model, params = tiny.model(), tiny.params()
    examples = tiny.examples(tiny.records(6))
    batch = tiny.pack([[examples[3], examples[1]], [examples[2]]])

    @jax.jit
    def vectors(params, batch):
        run = lambda method, *args: model.apply({"params": params}, *args, method=method)  # noqa: E731
        text = run("encode_text", batch.text_tokens, batch.text_segment_ids, batch.text_positions)
        prefixes = tiny.text_tokenizer().prefix_tokens if masked else ()
        embedded = property_embeddings(run, batch, text, prefix_tokens=prefixes)
        return text, property_vectors(run, embedded, None, prototypes=prototypes)

    text, found = jax.tree.map(
        functools.partial(np.asarray, dtype=np.float64), vectors(params, batch)
    )
    heads = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    checked = 0
    for row, slot, example in [(0, 0, examples[3]), (0, 1, examples[1]), (1, 0, examples[2])]:
        for k in range(1, 5):
            tokens = np.flatnonzero(batch.text_segment_ids[row] == slot * 5 + k + 1)
            assert bool(tokens.size) == bool(example.text_hashes[k])
            if not tokens.size:
                continue
            if masked:
                # [CLS] stays; the prefix, PREFIX with its colon, is excluded.
                prefix = tiny.text_tokenizer().encode(f"{PREFIXES[PROPERTIES[k - 1]]}:")
                np.testing.assert_array_equal(
                    batch.text_tokens[row, tokens][: len(prefix) - 1], prefix[:-1]
                )
                tokens = np.delete(tokens, np.arange(1, len(prefix) - 1))
            expected = ref.projection(text[row, tokens].mean(0), heads["text_projection"])
            if prototypes:
                expected = ref.prototype(expected, heads["prototype_bank"]["prototypes"], 0.0, 0.9)
            np.testing.assert_allclose(found[row, slot, k - 1], expected, rtol=1e-4, atol=1e-5)
            checked += 1
    assert checked == 4 + 2 + 3

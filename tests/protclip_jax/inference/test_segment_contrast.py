"""Weights beside those for other texts: against loops from the formulas, and on a tiny model."""

import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from protclip_jax import ProtCLIP
from protclip_jax.distributed import sharding
from protclip_jax.inference.segment_contrast import contrast, describe_contrast, segment_weights
from tests.support import numpy_reference as ref
from tests.support import tiny
from tests.support.tiny import CONFIG

OTHERS = [f"FUNCTION: {a}{b} fed." for a in "abcde" for b in "abcde"]


@pytest.fixture(scope="module")
def model():
    return ProtCLIP(
        tiny.model(),
        tiny.params(),
        tiny.text_tokenizer(),
        config=CONFIG,
        mesh=sharding.make_mesh(-1, 1),
    )


def reference(own, others):
    """Difference, low and high, residue by residue, as the docstring of `Contrast` has them."""
    half, (count, length) = len(own) // 400, others.shape

    def smooth(row, j):
        near = [row[i] for i in range(length) if abs(i - j) <= half]
        return sum(near) / len(near)

    found = []
    for j in range(length):
        s = [smooth(row, j) for row in others]
        apart = sorted(s[t] - (sum(s) - s[t]) / (count - 1) for t in range(count))
        edges = []
        for share in (0.05, 0.95):
            place = share * (count - 1)
            below, part = int(place), place - int(place)
            above = apart[min(below + 1, count - 1)]
            edges.append(apart[below] * (1 - part) + above * part)
        found.append((smooth(own, j) - sum(s) / count, *edges))
    return np.array(found).T


@pytest.mark.parametrize(("length", "count"), [(30, 20), (399, 23), (850, 21)])
def test_the_contrast_is_that_of_the_formulas(length, count):
    rng = np.random.default_rng(length)
    weights = rng.random((count + 1, length)) ** 4
    weights /= weights.sum(axis=1, keepdims=True)
    found = contrast(weights[0], weights[1:])
    for have, want in zip(
        (found.difference, found.low, found.high), reference(weights[0], weights[1:]), strict=True
    ):
        np.testing.assert_allclose(have, want, rtol=0, atol=1e-15)
    assert (found.others, found.half_window) == (count, length // 400)


def test_a_text_that_says_no_more_than_others_stays_within_the_band():
    rng = np.random.default_rng(0)
    weights = rng.random((201, 4000))
    found = contrast(weights[0], weights[1:])
    above, below = found.stands_out().mean(), (found.difference < found.low).mean()
    assert above == pytest.approx(0.05, abs=0.02)
    assert below == pytest.approx(0.05, abs=0.02)


def test_what_only_the_own_text_points_at_stands_out():
    rng = np.random.default_rng(1)
    weights = rng.random((41, 100)) + np.where(np.arange(100) < 10, 5.0, 0.0)
    weights[0, 50:53] += 3.0
    found = contrast(weights[0], weights[1:])
    assert set(np.flatnonzero(found.difference > found.high + 1)) == {50, 51, 52}
    assert np.argmax(weights[0]) < 10, "every text has most weight there"
    sentence = describe_contrast("function", "ACDEF" * 20, found)
    assert " of 100 residues lie above the band of 40 other texts; farthest above: " in sentence
    named = sentence.partition("above: ")[2].split(", ")
    assert set(named[:3]) == {"A51", "C52", "D53"}


def test_weights_are_those_of_the_formula():
    rng = np.random.default_rng(2)
    residues, texts = rng.normal(size=(17, 5)), rng.normal(size=(4, 5))
    texts[3] = 0
    want = [ref.segment_weights(residues, text, 0.3) for text in texts]
    np.testing.assert_allclose(segment_weights(residues, texts, 0.3), want, atol=1e-12)


@pytest.mark.parametrize("mask_prefix", [False, True])
def test_a_model_contrasts_the_weights_that_it_gives_one_by_one(model, mask_prefix):
    config = CONFIG | {"pda": CONFIG["pda"] | {"mask_prefix": mask_prefix}}
    reading = ProtCLIP(
        tiny.model(),
        tiny.params(),
        tiny.text_tokenizer(),
        config=config,
        mesh=sharding.make_mesh(-1, 1),
    )
    sequence = tiny.records(1, seed=9)[0].sequence * 12
    properties = {"location": "SUBCELLULAR LOCATION: dab.", "function": "FUNCTION: bad def."}
    others = {"function": OTHERS, "location": [text.replace("FUNC", "LOC") for text in OTHERS]}
    found = reading.segment_contrasts(sequence, properties, others)
    assert list(found) == ["function", "location"]
    alone = [
        reading.segments(sequence, {"function": text})[0].astype(np.float64)
        for text in ["FUNCTION: bad def.", *OTHERS]
    ]
    want = reference(alone[0], np.array(alone[1:]))
    for have, expected in zip(
        (found["function"].difference, found["function"].low, found["function"].high),
        want,
        strict=True,
    ):
        np.testing.assert_allclose(have, expected, atol=1e-6)
    assert np.abs(want[0]).max() > 1e-4


def test_too_few_others_and_what_is_no_property_are_refused(model):
    asked = {"function": "FUNCTION: bad."}
    with pytest.raises(UserError, match="needs 20 other texts of the property"):
        model.segment_contrasts("MKTAYIAK", asked, {"function": OTHERS[:19]})
    with pytest.raises(UserError, match="there are only 0"):
        model.segment_contrasts("MKTAYIAK", asked, {})
    with pytest.raises(UserError, match="'activity' must be one of"):
        model.segment_contrasts("MKTAYIAK", {"activity": "x"}, {})

"""The text-free tagger by its formula, counted the plain way."""

import numpy as np
import pytest

from eval.baselines.bags import AMINO_ACIDS
from eval.baselines.residue_tagger import FAR, KYTE_DOOLITTLE, fit_tagger, hydropathy
from eval.metrics.statistics import auroc


def seen(sequence, place, half_window):
    """What the tagger may look at: (feature, value) pairs."""
    for offset in range(-half_window, half_window + 1):
        inside = 0 <= place + offset < len(sequence) and sequence[place + offset] in AMINO_ACIDS
        yield f"at {offset}", sequence[place + offset] if inside else "other"
    yield "start", min(place, FAR)
    yield "end", min(len(sequence) - 1 - place, FAR)


def log_odds(examples, half_window, sequence, place):
    """Σ log P(value | marked) − log P(value | not marked), counts from one on."""
    total = 0.0
    for feature, value in seen(sequence, place, half_window):
        kinds = FAR + 1 if feature in ("start", "end") else len(AMINO_ACIDS) + 1
        counts = {True: [1, kinds], False: [1, kinds]}
        for text, marked in examples:
            for other in range(len(text)):
                label = bool(marked[other])
                counts[label][1] += 1
                counts[label][0] += dict(seen(text, other, half_window))[feature] == value
        total += np.log(counts[True][0] / counts[True][1]) - np.log(
            counts[False][0] / counts[False][1]
        )
    return total


@pytest.mark.parametrize("half_window", [0, 2])
def test_scores_are_naive_bayes(half_window):
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACDWX"), size)) for size in (9, 5, 70)]
    examples = [(text, rng.random(len(text)) < 0.3) for text in texts]
    tagger = fit_tagger(examples, half_window)
    scores = tagger.scores("WACDXA")
    expected = [log_odds(examples, half_window, "WACDXA", place) for place in range(6)]
    np.testing.assert_allclose(scores, expected, rtol=1e-9)


def test_it_finds_a_motif_that_it_has_seen():
    rng = np.random.default_rng(1)
    examples = []
    for _ in range(200):
        letters = rng.choice(list(AMINO_ACIDS), 50)
        start = rng.integers(5, 40)
        letters[start : start + 5] = list("WHWHW")
        marked = np.zeros(50, bool)
        marked[start : start + 5] = True
        examples.append(("".join(letters), marked))
    tagger = fit_tagger(examples[:150], 5)
    assert np.mean([auroc(tagger.scores(text), marked) for text, marked in examples[150:]]) > 0.98


def test_hydropathy_is_the_mean_of_its_window():
    assert len(KYTE_DOOLITTLE) == 20
    sequence = "".join(np.random.default_rng(0).choice(list(AMINO_ACIDS + "X"), 45))
    expected = []
    for place in range(45):
        window = sequence[max(place - 9, 0) : place + 10]
        expected.append(np.mean([KYTE_DOOLITTLE.get(letter, 0) for letter in window]))
    np.testing.assert_allclose(hydropathy(sequence), expected, atol=1e-12)
    np.testing.assert_allclose(hydropathy("MIL"), [np.mean([1.9, 4.5, 3.8])] * 3)

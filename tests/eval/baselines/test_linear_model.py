"""The linear baseline: its gradients by an independent formula, what it learns, and what it
cannot."""

import numpy as np
import pytest

from data_pipelines.protanno.record import Record, property_texts
from eval.baselines import linear_model
from eval.baselines.bags import AMINO_ACIDS, kmer_ids, words
from eval.baselines.linear_model import (
    LinearConfig,
    Parameters,
    bags_of,
    draw_step,
    fit_features,
    kmer_counts,
    loss_and_gradients,
    retrieval_mrr,
    train,
)

WORDS = ("zinc", "heme", "copper", "biotin", "calcium", "folate")
MOTIFS = ("WHWHW", "CMCMC", "YFYFY", "HHCHH", "MWMWM", "FCFCF")
SIGNALS = ("PDPDP", "KQKQK", "NGNGN", "DDKDD", "QPQPQ", "GKGKG")


def proteins(count, *, seed=0, informative=True):
    """Records whose motifs tell two words of their text each, if they are informative."""
    rng = np.random.default_rng(seed)
    records = []
    for number in range(count):
        function, place = rng.integers(len(WORDS), size=2)
        letters = ["".join(rng.choice(list(AMINO_ACIDS), 20)) for _ in range(3)]
        planted = (function, place) if informative else rng.integers(len(WORDS), size=2)
        sequence = letters[0] + MOTIFS[planted[0]] + letters[1] + SIGNALS[planted[1]] + letters[2]
        texts = {"function": f"Binds {WORDS[function]}.", "location": f"{WORDS[place]} body."}
        records.append(Record(f"P{number}", "", "swissprot", sequence, 1, "protein", **texts))
    return records


def distinct(records):
    """The records of distinct texts, and the texts."""
    chosen = {" ".join(property_texts(record).values()): record for record in records}
    return list(chosen.values()), list(chosen)


def trained(records, held_out, **changes):
    config = LinearConfig(lengths=(2,), batch=64, dimensions=32, steps=120, **changes)
    features = fit_features(records, config.lengths)
    bags, order = bags_of(records, features), np.random.default_rng(1).permutation(len(records))
    chosen, texts = distinct(held_out)
    sequences = [record.sequence for record in chosen]
    return train(
        bags,
        features,
        config,
        draws=lambda draws: order[draws % len(order)],
        measured=lambda model: retrieval_mrr(model, sequences, texts),
    )


def test_it_learns_what_motifs_tell():
    _, mrr = trained(proteins(300), proteins(60, seed=1))
    chosen, _ = distinct(proteins(60, seed=1))
    by_chance = np.mean(1 / np.arange(1, len(chosen) + 1))
    assert mrr > 0.6 > 4 * by_chance


def test_it_learns_nothing_where_there_is_nothing():
    held_out = proteins(60, seed=1, informative=False)
    _, mrr = trained(proteins(300, informative=False), held_out)
    by_chance = np.mean(1 / np.arange(1, len(distinct(held_out)[0]) + 1))
    assert mrr < 2 * by_chance


def loss_by_formula(torch, protein, text, logit_scale, step):
    """Symmetric InfoNCE in float64, duplicates of text or sequence left out of the denominators."""
    rows = [
        torch.from_numpy(table.toarray()).double() @ matrix
        for table, matrix in zip(step[:2], (protein, text), strict=True)
    ]
    unit = [row / row.norm(dim=1, keepdim=True) for row in rows]
    logits = logit_scale.exp() * unit[0] @ unit[1].T
    same = (step.sequence_hashes[:, None] == step.sequence_hashes) | (
        step.text_hashes[:, None] == step.text_hashes
    )
    np.fill_diagonal(same, False)
    kept = logits.masked_fill(torch.from_numpy(same), -torch.inf)
    losses = [side.logsumexp(1) - side.diagonal() for side in (kept, kept.T)]
    return (losses[0] + losses[1]).mean() / 2


@pytest.mark.parametrize("property_subset", [0.0, 0.5])
def test_loss_and_gradients_are_those_of_the_formula(property_subset):
    torch = pytest.importorskip("torch")
    records = [*proteins(20), *proteins(4)]
    features = fit_features(records, (2,))
    bags, rng = bags_of(records, features), np.random.default_rng(0)
    step = draw_step(bags, np.arange(24), property_subset=property_subset, rng=rng)
    sizes = bags.proteins.shape[1], len(features.vocabulary)
    matrices = [rng.normal(size=(size, 5)).astype(np.float32) for size in sizes]
    loss, gradients = loss_and_gradients(Parameters(*matrices, np.float32(1.5)), step)
    exact = [
        torch.tensor(leaf, dtype=torch.float64, requires_grad=True) for leaf in (*matrices, 1.5)
    ]
    expected = loss_by_formula(torch, *exact, step)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    for found, leaf in zip(gradients, exact, strict=True):
        np.testing.assert_allclose(found, leaf.grad, rtol=1e-3, atol=1e-6)


def test_shown_properties():
    records = proteins(400)
    bags = bags_of(records, fit_features(records, (2,)))
    rows = np.arange(400)
    whole = draw_step(bags, rows, property_subset=0.0, rng=np.random.default_rng(0))
    some = draw_step(bags, rows, property_subset=1.0, rng=np.random.default_rng(0))
    counts = [np.diff(step.texts.indptr) for step in (whole, some)]
    assert (counts[1] < counts[0]).all()
    assert (counts[1] > 0).all()

    hashes = {
        name: np.unique(step.text_hashes).size for name, step in (("whole", whole), ("some", some))
    }
    assert hashes["whole"] <= len({" ".join(property_texts(record).values()) for record in records})
    half = draw_step(bags, rows, property_subset=0.5, rng=np.random.default_rng(0))
    assert 0.4 < np.mean(np.diff(half.texts.indptr) < counts[0]) < 0.6
    single = [
        Record("P1", "", "swissprot", "MKVLL", 1, "zinc thing"),
        Record("P2", "", "swissprot", "MKVLL", 1, "zinc thing"),
    ]
    step = draw_step(
        bags_of(single, fit_features(single, (2,))),
        np.arange(2),
        property_subset=1.0,
        rng=np.random.default_rng(0),
    )
    assert (np.diff(step.texts.indptr) > 0).all()
    assert step.text_hashes[0] == step.text_hashes[1]


def test_kmers_of_several_lengths_stand_side_by_side():
    rows = kmer_counts(["ACDA", "AC"], (1, 2)).toarray()
    assert rows.shape == (2, 20 + 400)
    assert rows[0, :20].sum() == 4
    assert rows[0, kmer_ids("A", 1)[0]] == 2
    assert rows[0, 20:].sum() == 3
    assert rows[1, 20 + kmer_ids("AC", 2)[0]] == 1


def test_long_kmers_are_hashed_evenly(monkeypatch):
    monkeypatch.setattr(linear_model, "MAX_KMERS", 64)
    rng = np.random.default_rng(0)
    rows = kmer_counts(["".join(rng.choice(list(AMINO_ACIDS), 20_000))], (3,)).toarray()
    assert rows.shape == (1, 64)
    assert rows.sum() == 19_998
    assert rows.min() > 0.7 * rows.mean()
    assert rows.max() < 1.4 * rows.mean()


def test_words_of_a_single_record_and_unknown_words_do_not_count():
    records = [Record(f"P{i}", "", "swissprot", "MKVLL", 1, f"zinc thing{i}") for i in range(3)]
    features = fit_features(records, (2,))
    assert set(features.vocabulary) == {*words("PROTEIN NAME: zinc")}
    assert features.texts(["no word here", "zinc zinc"]).toarray()[0].sum() == 0
    model = linear_model.LinearModel(
        features, np.ones((400, 4), np.float32), np.ones((3, 4), np.float32)
    )
    np.testing.assert_allclose(
        model.encode_texts(["zinc", "unheard"]), [[0.5] * 4, [0] * 4], atol=1e-6
    )
    np.testing.assert_allclose(model.encode_proteins(["MKV", "M"]), [[0.5] * 4, [0] * 4], atol=1e-6)

import itertools

import numpy as np
import pytest

from configs.eval import protein_interaction as config
from data_pipelines.common.errors import UserError
from eval.benchmarks.interaction import protein_interaction
from eval.benchmarks.interaction.protein_interaction import (
    constant_answer,
    divide,
    f1_counts,
    run,
    seen_endpoints,
    summarize,
    train_one,
)
from eval.data.base.task import INTERACTIONS, InteractionGraph
from eval.data.importers.interactions import read_actions
from eval.metrics import micro_f1
from eval.metrics.statistics import bootstrap_interval
from eval.protocols.sequence_features import composition
from tests.support.problems import seen


def small_options(**changes):
    options = config.get_config()
    options.update(
        epochs=45, seeds=2, batch_edges=64, learning_rate=1e-2, composition_baseline=False
    )
    options.network.update(projected=8, width=16, dropout=0.2)
    options.update(changes)
    return options


@pytest.fixture(scope="module")
def graph():
    """250 proteins rich in A or in K; two of a kind bind, unequal ones inhibit each other, and
    all else is by chance."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(2, size=250)
    sequences = [
        "".join(rng.choice(list("AK"), 40, p=[0.9, 0.1] if kind else [0.1, 0.9])) for kind in kinds
    ]
    edges = np.stack(np.triu_indices(250, 1), axis=1)[rng.random(31125) < 0.02].astype(np.int32)
    labels = rng.random((len(edges), 7)) < 0.1
    equal = kinds[edges[:, 0]] == kinds[edges[:, 1]]
    labels[:, INTERACTIONS.index("binding")], labels[:, INTERACTIONS.index("inhibition")] = (
        equal,
        ~equal,
    )
    return InteractionGraph(
        [f"p{position}" for position in range(250)], sequences, edges, labels, [], []
    )


def rewired(graph, parts):
    """The same graph, but that every test pair is another pair."""
    edges = graph.edges.copy()
    taken = {tuple(edge) for edge in edges}
    free = [pair for pair in itertools.combinations(range(250), 2) if pair not in taken]
    edges[parts.test] = free[: len(parts.test)]
    return InteractionGraph(graph.names, graph.sequences, edges, graph.labels, [], [])


@pytest.mark.parametrize(("messages", "blind"), [("training", True), ("all", False)])
def test_only_messages_over_training_pairs_are_blind_to_test_pairs(graph, messages, blind):
    parts = divide(graph, "random", seed=0, valid_fraction=0.1)
    features, options = composition(graph.sequences), small_options(epochs=3)
    given = {"messages": messages, "parts": parts, "options": options, "seed": 0}
    before, after = (
        train_one(one, features, **given).logits for one in (graph, rewired(graph, parts))
    )
    others = np.concatenate([parts.fit, parts.valid])
    assert np.array_equal(before[others], after[others]) == blind
    assert not np.array_equal(before[parts.test], after[parts.test])


def test_a_run_beats_the_constant_answer_on_what_is_planted(graph):
    result = run(
        graph,
        composition,
        small_options(splits=("random",), messages=("training",), composition_baseline=True),
    )
    assert result["data"] == {
        "proteins": 250,
        "pairs": len(graph.edges),
        "pairs_by_type": result["data"]["pairs_by_type"],
    }
    assert result["splits"].keys() == {"random"}
    for split in result["splits"].values():
        assert sum(sizes[0] for sizes in split["parts"].values()) == len(graph.edges)
        scores = split["scores"]
        # Both are the same features, standardised alike: the same numbers must come out.
        assert (
            scores["embeddings, training"]["intervals"]
            == scores["composition, training"]["intervals"]
        )
        assert scores["embeddings, training"]["by_type"]["binding"] > 0.75
        assert scores["embeddings, training"]["micro_f1"] > scores["constant"]["micro_f1"] + 0.1
        low, high = scores["embeddings, training"]["intervals"][0]
        assert low < scores["embeddings, training"]["by_seed"][0] < high
        assert (
            sum(counts[1] for counts in split["seen_endpoints"].values())
            == split["parts"]["test"][1]
        )
    assert result["flops"] == sum(split["flops"] for split in result["splits"].values()) > 0


def test_constant_answer_is_the_best_of_all_constant_answers(graph):
    parts = divide(graph, "random", seed=1, valid_fraction=0.1)
    training = graph.labels[np.concatenate([parts.fit, parts.valid])]
    answer = constant_answer(graph.labels, parts)
    assert (answer == answer[0]).all()
    every = (
        np.broadcast_to(np.array(said), training.shape)
        for said in itertools.product([False, True], repeat=7)
    )
    best = max(micro_f1(said, training) for said in every if said.any())
    assert micro_f1(np.broadcast_to(answer[0] > 0, training.shape), training) == best


@pytest.mark.parametrize("split", ["random", "bfs", "dfs"])
def test_seen_endpoints_are_counted(graph, split):
    parts = divide(graph, split, seed=0, valid_fraction=0.1)
    none, one, both = np.bincount(seen_endpoints(graph, parts), minlength=3)
    train = np.concatenate([parts.fit, parts.valid])
    assert (both, one, none) == seen(graph.edges, train=train, test=parts.test)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(graph.edges)))


def test_summary_counts_each_cell_once(graph):
    rng = np.random.default_rng(0)
    parts = [divide(graph, "bfs", seed=seed, valid_fraction=0.1) for seed in (0, 1)]
    logits = [rng.normal(size=graph.labels.shape) for _ in parts]
    summary = summarize(graph, parts, logits)
    expected = [
        micro_f1(own[part.test] > 0, graph.labels[part.test])
        for own, part in zip(logits, parts, strict=True)
    ]
    assert summary["by_seed"] == pytest.approx(expected)
    assert (summary["micro_f1"], summary["std"]) == pytest.approx(
        (np.mean(expected), np.std(expected, ddof=1))
    )
    binding = [
        (own[part.test, 1] > 0, graph.labels[part.test, 1])
        for own, part in zip(logits, parts, strict=True)
    ]
    said, true = (np.concatenate(arrays) for arrays in zip(*binding, strict=True))
    assert summary["by_type"]["binding"] == pytest.approx(
        2 * (said & true).sum() / (said.sum() + true.sum())
    )
    chosen = [seen_endpoints(graph, part) == 1 for part in parts]
    cells = [
        (own[part.test][rows] > 0, graph.labels[part.test][rows])
        for own, part, rows in zip(logits, parts, chosen, strict=True)
    ]
    said, true = (np.concatenate(arrays) for arrays in zip(*cells, strict=True))
    assert summary["by_seen_endpoints"]["one"] == pytest.approx(micro_f1(said, true))


def test_a_logit_of_zero_is_no_prediction():
    hits, sizes = f1_counts(np.array([[0.0, 1e-9]]), np.array([[True, True]]))
    np.testing.assert_array_equal((hits, sizes), ([[0, 2]], [[1, 2]]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": ("size",)}, "'size'.* random"),
        ({"messages": ("none",)}, "'none'.* all"),
    ],
)
def test_unknown_options_are_reported(graph, changes, message):
    with pytest.raises(UserError, match=message):
        run(graph, composition, small_options(**changes))


def test_what_cannot_be_measured_is_reported(graph):
    tiny = InteractionGraph(
        graph.names[:3],
        graph.sequences[:3],
        np.array([[0, 1], [1, 2]], np.int32),
        graph.labels[:2],
        [],
        [],
    )
    with pytest.raises(UserError, match="random split of 2 interactions"):
        run(tiny, composition, small_options())
    with pytest.raises(UserError, match="not finite"):
        run(graph, lambda sequences: np.full((len(sequences), 2), np.nan), small_options())


def test_proteins_widen_the_intervals_of_shs27k(real_data):
    folder = real_data / "ppi"
    actions = folder / "protein.actions.SHS27k.STRING.txt.gz"
    graph = read_actions(actions, sequences=[folder / "protein.SHS27k.sequences.dictionary.tsv.gz"])
    parts = divide(graph, "bfs", seed=0, valid_fraction=0.1)
    logits = constant_answer(graph.labels, parts)
    ((low, high),) = summarize(graph, [parts], [logits])["intervals"]
    hits, sizes = f1_counts(logits[parts.test], graph.labels[parts.test])
    by_pairs = bootstrap_interval(hits.sum(1), sizes.sum(1))
    assert 3 < (high - low) / (by_pairs[1] - by_pairs[0]) < 6
    assert low < by_pairs[0] < by_pairs[1] < high


@pytest.mark.soak
def test_complete_shs27k_with_composition(real_data):
    folder = real_data / "ppi"
    actions = folder / "protein.actions.SHS27k.STRING.txt.gz"
    graph = read_actions(actions, sequences=[folder / "protein.SHS27k.sequences.dictionary.tsv.gz"])
    assert (len(graph.names), len(graph.edges)) == (1690, 7624)
    options = config.get_config()
    options.update(epochs=60, seeds=3, composition_baseline=False)
    result = protein_interaction.run(graph, composition, options)
    splits = {name: split["scores"] for name, split in result["splits"].items()}
    for messages in ("all", "training"):
        found = {name: scores[f"embeddings, {messages}"] for name, scores in splits.items()}
        assert 0.8 < found["random"]["micro_f1"] < 0.95
        assert found["random"]["micro_f1"] > splits["random"]["constant"]["micro_f1"] + 0.2
        assert (
            found["random"]["micro_f1"]
            > max(found["dfs"]["micro_f1"], found["bfs"]["micro_f1"]) + 0.1
        )
        # Which of the walks is harder differs by seed: the difference of their means stays within
        # two standard errors of 0.
        noise = 2 * np.hypot(found["dfs"]["std"], found["bfs"]["std"]) / np.sqrt(options.seeds)
        assert found["dfs"]["micro_f1"] > found["bfs"]["micro_f1"] - noise

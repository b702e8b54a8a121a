import numpy as np
import pytest

from configs.eval import cross_modal as config
from data_pipelines.common.errors import UserError
from eval.baselines.bags import AMINO_ACIDS
from eval.benchmarks.cross_modal.cross_modal import BENCHMARKS, embedded_graph, run, summarize
from eval.benchmarks.cross_modal.family import CrossModal
from eval.benchmarks.cross_modal.node_embeddings import embed_nodes
from eval.benchmarks.cross_modal.tail_queries import FIT, Ranks, hold_out
from eval.data.base.task import KnowledgeGraph, Node, NodeVectors
from eval.data.graphs.knowledge_graph import read_hetionet_graph, read_primekg_graph
from eval.protocols.sequence_features import composition
from eval.public.subjects import CheckpointModel
from protclip_jax import ProtCLIP
from protclip_jax.checkpoints import metadata
from protclip_jax.checkpoints.parameters import save_params
from tests.protclip_jax.inference.test_text_only import tower_alone
from tests.support import tiny

PROTEINS, WIDTH = 200, 6


def small_options(**changes):
    options = config.get_config()
    options.update(
        seeds=1, batch_triplets=128, negatives=20, learning_rate=1e-2, eval_every=60, epochs=24.0
    )
    options.bridge.update(width=16, layers=1, heads=2, feed_forward=16, dropout=0.0)
    options.update(changes)
    return options


def letters(texts):
    """Shares of the letters of texts, for want of a text tower."""
    return composition([text.upper() for text in texts])


@pytest.fixture(scope="module")
def planted():
    """A graph in which every protein has a drug by each of two relations, the relation's own
    linear map of it, with noise."""
    rng = np.random.default_rng(0)
    proteins = rng.normal(size=(PROTEINS, WIDTH))
    drugs = [
        proteins @ rng.normal(size=(WIDTH, WIDTH + 1))
        + 0.1 * rng.normal(size=(PROTEINS, WIDTH + 1))
        for _ in range(2)
    ]
    nodes = [Node(f"{position}", 0, f"p{position}") for position in range(PROTEINS)]
    nodes += [Node(f"{position}", 1, f"d{position}") for position in range(2 * PROTEINS)]
    own = np.arange(PROTEINS)
    forth = [
        np.stack([own, np.full(PROTEINS, kind), PROTEINS * (1 + kind) + own], 1)
        for kind in range(2)
    ]
    triplets = np.concatenate([*forth, *(one[:, ::-1] for one in forth)]).astype(np.int32)
    graph = KnowledgeGraph(("gene/protein", "drug"), ("target", "enzyme"), nodes, triplets, [], [])
    vectors = {
        "gene/protein": proteins.astype(np.float32),
        "drug": np.concatenate(drugs).astype(np.float32),
    }
    return graph, vectors


@pytest.fixture(scope="module")
def result(planted):
    return run(
        *planted, small_options(benchmarks=("prot2drug", "prot2bp"), reverse_triplets=("removed",))
    )


def test_a_planted_bridge_is_found_and_needs_its_relations(result):
    scores = result["benchmarks"]["prot2drug"]["removed"]
    assert scores["chance"]["mrr"] < 0.02
    assert scores["bridge"]["mrr"] > 0.4
    assert scores["bridge"]["mrr"] > scores["no_relation"]["mrr"] + 0.1
    assert scores["no_relation"]["mrr"] > 3 * scores["chance"]["mrr"]
    # Every drug has one triplet, and those of held-out proteins none: frequency says nothing.
    assert scores["frequency"]["mrr"] < 0.02
    low, high = scores["bridge"]["intervals"][0]
    assert low < scores["bridge"]["mrr"] < high
    assert scores["bridge"]["hits@1"] <= scores["bridge"]["hits@3"] <= scores["bridge"]["hits@10"]


def test_a_run_says_what_took_part(result):
    assert result["benchmarks"]["prot2drug"]["removed"]["heads"] == [20]
    assert result["benchmarks"]["prot2drug"]["removed"]["triplets"] == [40]
    assert "biological_process" in result["benchmarks"]["prot2bp"]["missing"]
    assert result["data"]["nodes"] == {"gene/protein": PROTEINS, "drug": 2 * PROTEINS}
    assert result["data"]["triplets"] == 4 * PROTEINS
    # Of 200 proteins 20 test and 20 validate; each takes its two triplets and their reverses out of
    # training.
    assert result["training"][0]["removed"]["bridge"]["triplets"] == 4 * 160
    assert (
        result["flops"]
        == sum(one["flops"] for one in result["training"][0]["removed"].values())
        > 0
    )


def test_a_bridge_is_trained_with_and_without_what_is_asked_turned_round(planted):
    graph, vectors = planted
    options = small_options(benchmarks=("prot2drug",), epochs=1.0, no_relation_control=False)
    assert options.reverse_triplets == ("kept", "removed")
    result = run(graph, vectors, options)
    types = np.array([node.type for node in graph.nodes])
    roles = hold_out(graph.triplets, types, head_types=[0], share=0.1, seed=0)
    fit = [(int(head), int(tail)) for head, _, tail in graph.triplets if roles[head] == FIT]
    expected = {"kept": len(fit), "removed": sum(roles[tail] == FIT for _, tail in fit)}
    found = {kind: of_kind["bridge"]["triplets"] for kind, of_kind in result["training"][0].items()}
    assert found == expected == {"kept": 4 * PROTEINS - 80, "removed": 4 * 160}
    # The heads asked are the same, and of the two bridges one has seen them as tails.
    kept, removed = (result["benchmarks"]["prot2drug"][kind] for kind in ("kept", "removed"))
    assert kept["heads"] == removed["heads"] == [20]
    assert kept["bridge"]["mrr"] != removed["bridge"]["mrr"]


def test_nodes_without_embedding_are_left_out_with_their_triplets(planted):
    graph, vectors = planted
    proteins = vectors["gene/protein"].copy()
    proteins[[3, 8]] = np.nan
    embedded = embedded_graph(graph, {**vectors, "gene/protein": proteins}, standardised=True)
    assert len(embedded.triplets) == 4 * (PROTEINS - 2)
    assert (embedded.nodes.rows[[3, 8]] == -1).all()
    kept = np.delete(np.asarray(embedded.tables[0]), [3, 8], axis=0)
    np.testing.assert_allclose(
        (kept.mean(0), kept.std(0)), (np.zeros(WIDTH), np.ones(WIDTH)), atol=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"benchmarks": ("prot2text",)}, "'prot2text'"),
        ({"reverse_triplets": ("kept", "some")}, "'some'.*removed or kept"),
        ({"benchmarks": ("disease2prot",)}, "'disease'"),
        ({"benchmarks": ("prot2drug",), "held_out": 0.001}, "no held-out head has a tail"),
        ({"benchmarks": ("prot2drug",), "held_out": 0.5}, "leaves no triplet"),
    ],
)
def test_what_cannot_be_asked_is_reported(planted, changes, message):
    with pytest.raises(UserError, match=message):
        run(*planted, small_options(**changes))


def test_embeddings_of_another_number_of_nodes_are_reported(planted):
    graph, vectors = planted
    with pytest.raises(UserError, match="200 nodes of type 'gene/protein'.* 2 "):
        run(graph, {**vectors, "gene/protein": np.zeros((2, 3), np.float32)}, small_options())


def test_missing_drug_embeddings_are_asked_for(planted):
    graph, vectors = planted
    with pytest.raises(UserError, match="embeddings of drugs"):
        run(
            graph,
            {"gene/protein": vectors["gene/protein"]},
            small_options(benchmarks=("prot2drug",)),
        )


def test_a_summary_is_over_triplets_and_seeds():
    ranks = [
        Ranks(
            np.array([5, 5, 7]),
            np.array([[0, 1, 3], [0, 0, 0]]),
            np.array([[0, 1, 3], [1, 1, 0]]),
            np.array([[0, 3], [0, 0]]),
        ),
        Ranks(
            np.array([5, 7]),
            np.array([[0, 0], [0, 0]]),
            np.array([[0, 0], [0, 0]]),
            np.array([[0, 0], [0, 0]]),
        ),
    ]
    summary = summarize([{"bridge": one} for one in ranks])
    first = (1 + 1 / 2 + 1 / 4) / 3
    assert summary["bridge"]["by_seed"] == pytest.approx([first, 1.0])
    assert summary["bridge"]["mrr"] == pytest.approx((first + 1) / 2)
    assert summary["bridge"]["std"] == pytest.approx((1 - first) / np.sqrt(2))
    assert summary["bridge"]["hits@1"] == pytest.approx((1 / 3 + 1) / 2)
    assert summary["bridge"]["mrr_first"] == pytest.approx(((1 + 1 / 4) / 2 + 1) / 2)
    assert (summary["heads"], summary["triplets"]) == ([2, 2], [3, 2])
    low, high = summary["bridge"]["intervals"][0]
    # Heads are drawn together with their triplets: either head alone is the extreme.
    assert (low, high) == pytest.approx((1 / 4, 3 / 4))


def test_nodes_are_embedded_by_their_modality():
    nodes = [
        Node("1", 0, "A", "ACD"),
        Node("2", 0, "B"),
        Node("3", 1, "asthma", "a disease"),
        Node("4", 1, "rickets"),
    ]
    nodes += [Node("DB1", 2, "aspirin", "CC"), Node("DB2", 2, "water"), Node("5", 3, "liver")]
    types = ("gene/protein", "disease", "drug", "anatomy")
    supplied = {
        "drug": NodeVectors("Uni-Mol", np.array([5], np.int32), np.ones((1, 4), np.float32))
    }
    asked = []

    def texts(given):
        asked.extend(given)
        return np.full((len(given), 2), 2.0)

    bare = KnowledgeGraph(types, ("x",), nodes, np.zeros((0, 3), np.int32), [], [])
    assert embed_nodes(bare, proteins=composition, texts=texts).keys() == {
        "gene/protein",
        "disease",
    }
    graph = KnowledgeGraph(
        types, ("x",), nodes, np.zeros((0, 3), np.int32), [], [], vectors=supplied
    )
    embeddings = embed_nodes(graph, proteins=composition, texts=texts)
    assert embeddings.keys() == {"gene/protein", "disease", "drug"}
    assert asked[:2] == ["Name: asthma. Definition: a disease", "Name: rickets."]
    assert embeddings["gene/protein"].shape == (2, len(AMINO_ACIDS))
    np.testing.assert_array_equal(np.isnan(embeddings["gene/protein"]).any(1), [False, True])
    np.testing.assert_array_equal(embeddings["drug"], [[np.nan] * 4, [1] * 4])


def test_text_nodes_are_bert_means_of_name_and_definition(tmp_path):
    """In float64, from the tower's tokens of each text alone: no projection, `[CLS]` and `[SEP]`
    included, as BioBridge's."""
    folder = tmp_path / "text"
    metadata.write_metadata(
        folder,
        {**tiny.CONFIG, "model": tiny.CONFIG["model"] | {"protein": None}},
        tiny.text_tokenizer(),
    )
    save_params(folder, {"text": tiny.params()["text"]})
    view = CheckpointModel(ProtCLIP.load(folder), folder, 0, tmp_path / "cache").view(
        CrossModal(), None
    )
    nodes = [Node("3", 0, "asthma", "a disease of the airways"), Node("4", 0, "rickets")]
    graph = KnowledgeGraph(("disease",), ("x",), nodes, np.zeros((0, 3), np.int32), [], [])
    found = embed_nodes(graph, proteins=view.embed, texts=view.text_means)["disease"]
    texts = ["Name: asthma. Definition: a disease of the airways", "Name: rickets."]
    expected = np.stack([tower_alone(text).mean(0) for text in texts])
    assert found.shape == (2, tiny.CONFIG["model"]["text"]["hidden_size"])
    np.testing.assert_allclose(found, expected, atol=2e-5)


def plumbing(graph):
    """A short run with the letters of names in the place of all embeddings: what comes out says
    little of biology."""
    embeddings = {}
    for position, name in enumerate(graph.node_types):
        names = [node.name for node in graph.nodes if node.type == position]
        if names:
            embeddings[name] = letters(names)
    options = small_options(reverse_triplets=("removed",), no_relation_control=False)
    options.update(eval_every=50, epochs=5.0, batch_triplets=512, learning_rate=5e-3)
    return run(graph, embeddings, options)


@pytest.mark.soak
def test_real_hetionet_runs_end_to_end(real_data):
    folder = real_data / "hetionet"
    given = {"metaedges": folder / "metaedges.tsv"}
    result = plumbing(
        read_hetionet_graph(folder / "nodes.tsv.gz", folder / "edges-5k.sif.gz", **given)
    )
    assert result["benchmarks"].keys() == BENCHMARKS.keys()
    for name, of_name in result["benchmarks"].items():
        scores = of_name["removed"]
        assert scores["frequency"]["mrr"] > scores["chance"]["mrr"] > 0, name
        assert 0 < scores["bridge"]["mrr"] < 1, name
    for name in ("prot2mf", "prot2cc", "prot2drug"):
        scores = result["benchmarks"][name]["removed"]
        assert scores["bridge"]["mrr"] > scores["chance"]["mrr"], name


@pytest.mark.soak
def test_real_primekg_edges_run_end_to_end(real_data):
    folder = real_data / "primekg"
    graph = read_primekg_graph(
        folder / "val_edges.csv.gz", config=folder / "biobridge_data_config.json"
    )
    benchmarks = plumbing(graph)["benchmarks"]
    scores = benchmarks["prot2drug"]["removed"]
    assert scores["bridge"]["mrr"] > scores["chance"]["mrr"]
    assert all(
        "missing" in benchmarks[name] for name in ("prot2bp", "prot2mf", "prot2cc", "disease2prot")
    )

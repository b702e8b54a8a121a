"""What benchmarks of one family share, and what is told before it costs hours."""

import dataclasses

import numpy as np
import pytest

from configs.eval import cross_modal as config
from eval.benchmarks import families
from eval.benchmarks.cross_modal import cross_modal
from eval.benchmarks.families import BENCHMARKS, FAMILIES, FORMATS
from eval.data import manifest
from eval.metrics.statistics import Interval
from eval.protocols.sequence_features import composition
from tests.support import miniature
from tests.support.paths import ROOT

SCORES = {
    "mrr": 0.5,
    "std": 0.1,
    "intervals": [Interval((0.4, 0.6))],
    "hits@1": 0.3,
    "hits@3": 0.4,
    "hits@10": 0.6,
}


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return manifest.load(miniature.write(tmp_path_factory.mktemp("public")), "prot2bp")


@pytest.fixture
def setup():
    """A setup of which the cross-modal family uses embeddings and options."""
    options = config.get_config()
    return families.Setup(
        embed=composition,
        project=None,
        texts=None,
        text_means=lambda texts: composition(["A"] * len(texts)),
        variants=None,
        protocol=None,
        splits={},
        controls=(),
        configs={"cross_modal": options},
    )


@pytest.fixture
def trained(monkeypatch):
    """The graphs that a bridge is trained on; each training's MRR is the number of it."""
    graphs = []

    def run(graph, vectors, options):
        graphs.append(graph)
        scores = {"removed": {"bridge": SCORES | {"mrr": float(len(graphs))}}}
        return {"benchmarks": dict.fromkeys(options.benchmarks, scores)}

    monkeypatch.setattr(cross_modal, "run", run)
    return graphs


def test_benchmarks_on_one_graph_share_a_bridge_and_another_graph_has_its_own(
    graph, setup, trained
):
    own = dataclasses.replace(graph, triplets=graph.triplets[::2])
    measured = [
        families.measure(setup, *asked)
        for asked in (("prot2bp", own), ("prot2mf", graph), ("disease2prot", graph))
    ]
    assert [one.headline["mrr, reverse removed"]["mean"] for one in measured] == [1.0, 2.0, 2.0]
    assert [one is graph for one in trained] == [False, True]


def test_what_a_graph_lacks_is_reported_before_anything_is_trained(graph, setup, trained):
    with pytest.raises(manifest.MissingData, match="prot2drug needs embeddings of drugs"):
        families.measure(setup, "prot2drug", dataclasses.replace(graph, vectors={}))
    nodes = [dataclasses.replace(node, content=None) for node in graph.nodes]
    with pytest.raises(manifest.MissingData, match="prot2bp needs sequences of proteins"):
        families.measure(setup, "prot2bp", dataclasses.replace(graph, nodes=nodes))
    # Nodes and contents of every type are there, yet no protein with a sequence has a molecular
    # function.
    types = np.array([graph.node_types[node.type] for node in graph.nodes])
    head, _, tail = graph.triplets.T
    others = (types[head] != "gene/protein") | (types[tail] != "molecular_function")
    with pytest.raises(
        manifest.MissingData, match="prot2mf needs triplets from gene/protein to molecular_function"
    ):
        families.measure(
            setup, "prot2mf", dataclasses.replace(graph, triplets=graph.triplets[others])
        )
    asked = {int(position) for position in head[~others]}
    nodes = [
        dataclasses.replace(node, content=None) if position in asked else node
        for position, node in enumerate(graph.nodes)
    ]
    with pytest.raises(
        manifest.MissingData, match="prot2mf needs triplets from gene/protein to molecular_function"
    ):
        families.measure(setup, "prot2mf", dataclasses.replace(graph, nodes=nodes))
    setup.configs["cross_modal"].benchmarks = ("prot2bp",)
    with pytest.raises(manifest.MissingData, match="prot2mf"):
        families.measure(setup, "prot2mf", graph)
    assert not trained


def test_a_name_is_one_familys_and_what_is_published_is_of_its_own_benchmarks():
    names = [benchmark.name for family in FAMILIES for benchmark in family.benchmarks]
    assert len(names) == len(set(names))
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        own = {benchmark.name for benchmark in family.benchmarks}
        assert {row.benchmark for row in (*family.published, *family.sizes)} <= own


def test_every_benchmark_has_formats_or_anothers_data_and_a_template_that_fits():
    for benchmark in BENCHMARKS.values():
        assert benchmark.formats or BENCHMARKS[benchmark.proteins_of].formats
        if benchmark.formats:
            format_ = benchmark.format(benchmark.template["format"])
            assert benchmark.template.keys() - {"format"} <= set(format_.keys)


def test_a_family_has_a_config_file_if_it_has_fields():
    files = {path.stem for path in (ROOT / "configs/eval").glob("*.py")} - {
        "__init__",
        "probe",
        "fine_tuning",
    }
    assert files == {family.name for family in FAMILIES if family.fields}


def test_the_documents_list_every_benchmark_and_format():
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert [name for name in (*BENCHMARKS, *FORMATS) if f"`{name}`" not in text] == []

"""The cross-modal family: its benchmarks, their data, and its headline."""

from collections.abc import Mapping

from data_pipelines.common.settings import (
    DECAY,
    FLAG,
    FRACTION,
    ROWS,
    SHARE,
    STEPS,
    TEXT,
    WEIGHT,
    WIDTH,
)
from eval.benchmarks.base.family import BenchmarkFamily, Measured, Setup
from eval.benchmarks.cross_modal import cross_modal
from eval.benchmarks.cross_modal.node_embeddings import embed_nodes
from eval.data.base import known_sources
from eval.data.base.audit import audit_graph
from eval.data.base.benchmark import Benchmark
from eval.data.base.missing import MissingData
from eval.data.base.published import BRIDGE, published_row
from eval.data.base.task import KnowledgeGraph
from eval.data.graphs.knowledge_graph import BIOBRIDGE, GRAPH_TABLES, HETIONET, PRIMEKG
from eval.metrics.statistics import mean_interval
from eval.protocols.protocol_config import ABOVE_0, FROM_0, some

_TEMPLATE = {
    "format": "primekg",
    "edges": "primekg/kg.csv",
    "config": "primekg/data_config.json",
    "contents": {
        "gene/protein": "primekg/protein.csv",
        "biological_process": "primekg/biological.csv",
        "molecular_function": "primekg/molecular.csv",
        "cellular_component": "primekg/cellular.csv",
        "disease": "primekg/disease.csv",
    },
    "vectors": {"drug": {"file": "primekg/drug.npz", "source": "say who made the drug embeddings"}},
}
_NAMES = "prot2bp prot2mf prot2cc prot2drug disease2prot"
METRIC = "mrr, reverse kept"
"""As measured by BioBridge and ProtCLIP."""
_PROTCLIP = "Zhou et al. 2025, AAAI (arXiv:2412.20014), Table 4"


def _benchmark(name: str) -> Benchmark:
    """A question about the graph that all questions share."""
    return Benchmark(
        name,
        "kg.csv of PrimeKG, from doi.org/10.7910/DVN/IXA7BM, and protein.csv, disease.csv "
        "and the like from "
        "github.com/RyanWangZf/BioBridge, data/Processed",
        (PRIMEKG, HETIONET, BIOBRIDGE, GRAPH_TABLES),
        _TEMPLATE,
        group="knowledge_graph",
        source=known_sources.PRIMEKG,
    )


class CrossModal(BenchmarkFamily):
    """From one modality to another over a knowledge graph.

    A single bridge serves all the config's benchmarks on one graph.
    """

    name = "cross_modal"
    title = "Cross-modal transformation"
    protocol = BRIDGE
    benchmarks = tuple(_benchmark(name) for name in cross_modal.BENCHMARKS)
    published = (
        *published_row(_NAMES, "ProtCLIP", METRIC, ".224 .475 .414 .409 .161", _PROTCLIP, BRIDGE),
        *published_row(_NAMES, "BioBridge", METRIC, ".136 .326 .319 .172 .084", _PROTCLIP, BRIDGE),
    )
    # `cross_modal.run` checks the names of benchmarks and of reverse triplets.
    fields = {
        **dict.fromkeys(("benchmarks", "reverse_triplets"), some(TEXT)),
        "seeds": ROWS,
        "held_out": FRACTION,
        "min_tail_triplets": FROM_0,
        **dict.fromkeys(("standardise", "no_relation_control"), FLAG),
        **dict.fromkeys(
            ("bridge.width", "bridge.layers", "bridge.heads", "bridge.feed_forward"), WIDTH
        ),
        "bridge.dropout": DECAY,
        "epochs": ABOVE_0,
        **dict.fromkeys(("batch_triplets", "negatives"), ROWS),
        **dict.fromkeys(("learning_rate", "weight_decay"), WEIGHT),
        "warmup_fraction": SHARE,
        "clip_norm": ABOVE_0,
        **dict.fromkeys(("eval_every", "patience"), STEPS),
    }
    too_long = "trains a bridge for hours"
    beyond_vectors = "embeddings of the texts of terms and diseases"

    def measure(self, setup: Setup, name: str, data: KnowledgeGraph) -> Measured:
        """MRR and Hits@k of the bridge, beside its controls.

        Raises:
          MissingData: the graph lacks what this benchmark needs; usually raised before any
          training.
        """
        options = setup.configs[self.name]
        if message := cross_modal.lacking(data, options, name):
            raise MissingData(message)
        result = self._result(setup, data)
        methods = result["benchmarks"][name]
        if "missing" in methods:
            raise MissingData(methods["missing"])
        first = next(iter(methods.values()))
        beside = [method for method in ("no_relation", "frequency", "chance") if method in first]
        controls = [_control(method, methods) for method in beside]
        headline = _headline(methods)
        return Measured(result | {"controls": controls}, headline)

    def _result(self, setup: Setup, graph: KnowledgeGraph) -> dict:
        """The result of all the config's benchmarks on a graph; the last graph's is cached."""
        measured_on, result = setup.shared.get(self.name, (None, {}))
        # The manifest may give one benchmark a graph of its own, so the cache is checked.
        if measured_on is not graph:
            vectors = embed_nodes(graph, proteins=setup.embed, texts=setup.text_means)
            result = cross_modal.run(graph, vectors, setup.configs[self.name])
            setup.shared[self.name] = graph, result
        return result

    def counts(self, data: KnowledgeGraph) -> dict[str, int]:
        """Nodes, and triplets in both directions."""
        return {"nodes": len(data.nodes), "triplets": len(data.triplets)}

    def audit(self, data: KnowledgeGraph) -> dict:
        """See `audit_graph`."""
        return audit_graph(data)


def _headline(methods: Mapping[str, Mapping]) -> dict[str, dict]:
    """The bridge's MRR by kind of reverse triplets, then its Hits@k."""
    headline = {}
    for kind, of_kind in methods.items():
        own = of_kind["bridge"]
        interval = mean_interval(own["intervals"])
        headline[f"mrr, reverse {kind}"] = {
            "mean": own["mrr"],
            "std": own["std"],
            "interval": interval,
        }
    for kind, of_kind in methods.items():
        for hits in (f"hits@{k}" for k in cross_modal.HITS):
            value = of_kind["bridge"][hits]
            headline[f"{hits}, reverse {kind}"] = {"mean": value, "std": None, "interval": None}
    return headline


def _control(method: str, methods: Mapping[str, Mapping]) -> dict:
    """A control's means of the same metrics."""
    names = ("mrr", *(f"hits@{k}" for k in cross_modal.HITS))
    means = {
        f"{name}, reverse {kind}": {"mean": of_kind[method][name]}
        for kind, of_kind in methods.items()
        for name in names
    }
    return {"protocol": method.replace("_", " "), "metrics": means}

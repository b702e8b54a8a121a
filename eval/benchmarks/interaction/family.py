"""The protein–protein interaction family: its benchmarks, their data, and its headline."""

from ml_collections import ConfigDict

from data_pipelines.common.settings import DECAY, FLAG, FRACTION, ROWS, STEPS, TEXT, WEIGHT, WIDTH
from eval.benchmarks.base.family import BenchmarkFamily, Measured, Setup
from eval.benchmarks.interaction import protein_interaction
from eval.data.base import known_sources
from eval.data.base.audit import audit_interactions
from eval.data.base.benchmark import Benchmark
from eval.data.base.published import GRAPH_NETWORK, data_size
from eval.data.base.source import Source
from eval.data.base.task import InteractionGraph
from eval.data.importers.interactions import INTERACTION_TABLE, STRING_ACTIONS
from eval.metrics.statistics import mean_interval
from eval.protocols.protocol_config import FROM_0, some

_FORMATS = (STRING_ACTIONS, INTERACTION_TABLE)
_SIZES = "Zrimšek 2022, ReScience C (doi:10.5281/zenodo.6574721), on GNN-PPI's data"


def _shs(graph: str, source: Source) -> Benchmark:
    """One of GNN-PPI's two subsets of STRING."""
    return Benchmark(
        graph.lower(),
        f"protein.actions.{graph}.STRING.txt and protein.{graph}.sequences.dictionary.tsv, from "
        "github.com/lvguofeng/GNN_PPI, data, or SHS_ppi_beta.zip that its page points to",
        _FORMATS,
        {
            "format": "string_actions",
            "actions": f"ppi/protein.actions.{graph}.STRING.txt",
            "sequences": f"ppi/protein.{graph}.sequences.dictionary.tsv",
        },
        source=source,
    )


_STRING = Benchmark(
    "string",
    "9606.protein.actions.v11.0.txt.gz and 9606.protein.sequences.v11.0.fa.gz of STRING, from "
    "stringdb-static.org/download (protein.actions.v11.0 and protein.sequences.v11.0)",
    _FORMATS,
    {
        "format": "string_actions",
        "actions": "ppi/9606.protein.actions.v11.0.txt.gz",
        "sequences": "ppi/9606.protein.sequences.v11.0.fa.gz",
    },
    source=known_sources.STRING,
)


class ProteinInteraction(BenchmarkFamily):
    """Types of protein–protein interaction, on each split and with messages over either graph."""

    name = "protein_interaction"
    title = "Protein–protein interaction"
    protocol = GRAPH_NETWORK
    benchmarks = (
        _shs("SHS27k", known_sources.SHS27K),
        _shs("SHS148k", known_sources.SHS148K),
        _STRING,
    )
    sizes = (
        data_size("shs27k", _SIZES, proteins=1690, pairs=7624),
        data_size("shs148k", _SIZES, proteins=5189, pairs=44488),
        data_size("string", _SIZES, proteins=15335, pairs=593397),
    )
    # `protein_interaction.run` checks the names of splits and messages.
    fields = {
        **dict.fromkeys(("splits", "messages"), some(TEXT)),
        "seeds": ROWS,
        "composition_baseline": FLAG,
        "valid_fraction": FRACTION,
        **dict.fromkeys(("network.projected", "network.width", "network.layers"), WIDTH),
        "network.dropout": DECAY,
        "epochs": STEPS,
        "batch_edges": ROWS,
        **dict.fromkeys(("learning_rate", "weight_decay"), WEIGHT),
        "patience": FROM_0,
    }
    following = ("seeds=1", "composition_baseline=False")

    def proteins(self, data: InteractionGraph) -> list[str]:
        """All proteins with interactions: training and test pairs share proteins."""
        return list(dict.fromkeys(data.sequences))

    def measure(self, setup: Setup, name: str, data: InteractionGraph) -> Measured:
        """Micro-F1 by split and graph of messages; see `protein_interaction.run`."""
        del name
        config = setup.configs[self.name]
        result = protein_interaction.run(data, setup.embed, config)
        headline = {}
        for metric, score in _scores(result, config, "embeddings, {}").items():
            interval = mean_interval(score["intervals"])
            mean, std = score["micro_f1"], score["std"]
            headline[metric] = {"mean": mean, "std": std, "interval": interval}
        controls = [
            _control("composition", _scores(result, config, "composition, {}")),
            _control("best constant answer", _scores(result, config, "constant")),
        ]
        return Measured(result | {"controls": controls}, headline)

    def counts(self, data: InteractionGraph) -> dict[str, int]:
        """Proteins, and pairs that interact."""
        return {"proteins": len(data.names), "pairs": len(data.edges)}

    def audit(self, data: InteractionGraph) -> dict:
        """See `audit_interactions`."""
        return audit_interactions(data)


def _scores(result: dict, config: ConfigDict, source: str) -> dict[str, dict]:
    """Metric → scores, by features and messages, where they were measured."""
    scores = {}
    for split, measured in result["splits"].items():
        for messages in config.messages:
            if (found := measured["scores"].get(source.format(messages))) is not None:
                scores[f"micro_f1 {split}, {messages}"] = found
    return scores


def _control(protocol: str, scores: dict[str, dict]) -> dict:
    means = {metric: {"mean": score["micro_f1"]} for metric, score in scores.items()}
    return {"protocol": protocol, "metrics": means}

"""The families of public benchmarks: which one measures a benchmark, and what of a model each of them asks."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from eval.benchmarks import classification, few_shot, mutation_effect, zero_shot
from eval.benchmarks.cross_modal import cross_modal
from eval.benchmarks.cross_modal.node_embeddings import embed_nodes
from eval.benchmarks.interaction import protein_interaction
from eval.benchmarks.semantic_similarity import agreements
from eval.data.base.benchmarks import FEW_SHOT
from eval.data.base.task import Benchmark, InteractionGraph, KnowledgeGraph, PromptedTask, SimilarityTable, Task
from eval.data.manifest import MissingData
from eval.protocols.problem import Features, FittingProtocol
from eval.protocols.sequence_features import composition


class Measured(NamedTuple):
    """What a family says of a benchmark."""

    family: str
    result: dict
    headline: dict[str, dict]
    """The numbers to compare: metric → `mean`, `std` over seeds, 95 % `interval`; what is undefined is None."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """A model as families see it, and how it is to be measured.

    Attributes:
      embed: sequences to the mean of the protein tower's residue vectors.
      project: sequences to unit-norm embeddings in the space shared with text.
      texts: texts to embeddings in that space.
      protocol: how heads are learnt, `splits` the config's for it, `controls` the protocols beside it.
      configs: hyper-parameters, by the names of the files in configs/eval.
      shared: by family, the last data whose result several benchmarks take their numbers from, and that result.
    """

    embed: Features
    project: Features
    texts: Features
    protocol: FittingProtocol
    splits: Mapping
    controls: Sequence[FittingProtocol]
    configs: Mapping[str, ConfigDict]
    shared: dict[str, tuple[KnowledgeGraph, dict]] = dataclasses.field(default_factory=dict)


def measure(setup: Setup, name: str, data: Benchmark) -> Measured:
    """The result of a benchmark on its data."""
    if name in FEW_SHOT:
        return from_few(setup, name, data)
    return FAMILIES[type(data)](setup, name, data)


def supervised(setup: Setup, name: str, task: Task) -> Measured:
    """Classes or numbers of single proteins, by the setup's protocol."""
    del name
    family = mutation_effect if task.kind == "regression" else classification
    result = family.run(task, setup.protocol, splits=setup.splits, controls=list(setup.controls))
    headline = {metric: {key: value[key] for key in ("mean", "std", "interval")} for metric, value in result["metrics"].items()}
    return Measured(family.__name__.rpartition(".")[2], result, headline)


def by_prompts(setup: Setup, name: str, data: PromptedTask) -> Measured:
    """Classes of single proteins from their names alone."""
    del name
    result = zero_shot.run(data, proteins=setup.project, texts=setup.texts)
    headline = {
        f"accuracy, {prompts}": {"mean": of_set["accuracy"], "std": None, "interval": of_set["accuracy_interval"]}
        for prompts, of_set in result["prompts"].items()
    }
    return Measured("zero_shot", result, headline)


def from_few(setup: Setup, name: str, task: Task) -> Measured:
    """Classes of single proteins from a few examples of each."""
    del name
    result = few_shot.run(task, setup.embed, setup.configs["few_shot"])
    headline = {few_shot.metric(int(shots)): value for shots, value in result["accuracy"].items()}
    return Measured("few_shot", result | {"controls": few_shot.controls(result)}, headline)


def interactions(setup: Setup, name: str, graph: InteractionGraph) -> Measured:
    """Types of protein–protein interaction, on each split and with messages over either graph."""
    del name
    config = setup.configs["protein_interaction"]
    result = protein_interaction.run(graph, setup.embed, config)
    headline = {}
    for split, measured in result["splits"].items():
        for messages in config.messages:
            score = measured["scores"][f"embeddings, {messages}"]
            interval = np.mean(score["intervals"], axis=0).tolist()
            headline[f"micro_f1 {split}, {messages}"] = {"mean": score["micro_f1"], "std": score["std"], "interval": interval}

    def control(protocol: str, source: Callable[[str], str]) -> dict:
        metrics = {}
        for split, measured in result["splits"].items():
            for messages in config.messages:
                if (score := measured["scores"].get(source(messages))) is not None:
                    metrics[f"micro_f1 {split}, {messages}"] = {"mean": score["micro_f1"]}
        return {"protocol": protocol, "metrics": metrics}

    beside = [
        control("composition", lambda messages: f"composition, {messages}"),
        control("best constant answer", lambda messages: "constant"),
    ]
    return Measured("protein_interaction", result | {"controls": beside}, headline)


def transformation(setup: Setup, name: str, graph: KnowledgeGraph) -> Measured:
    """From one modality to another over a knowledge graph. One bridge serves all the benchmarks of the config on one graph.

    Raises:
      MissingData: the graph lacks what this benchmark asks for; where it can be told beforehand, nothing is trained.
    """
    options = setup.configs["cross_modal"]
    if message := cross_modal.lacking(graph, options, name):
        raise MissingData(message)
    measured_on, result = setup.shared.get("cross_modal", (None, {}))
    # The manifest may give one of the benchmarks a graph of its own.
    if measured_on is not graph:
        vectors = embed_nodes(graph, proteins=setup.embed, texts=setup.texts)
        result = cross_modal.run(graph, vectors, options)
        setup.shared["cross_modal"] = graph, result
    methods = result["benchmarks"][name]
    if "missing" in methods:
        raise MissingData(methods["missing"])
    bridge = methods["bridge"]
    interval = np.mean(bridge["intervals"], axis=0).tolist()
    headline = {"mrr": {"mean": bridge["mrr"], "std": bridge["std"], "interval": interval}}
    headline |= {f"hits@{k}": {"mean": bridge[f"hits@{k}"], "std": None, "interval": None} for k in cross_modal.HITS}
    beside = [
        {"protocol": method.replace("_", " "), "metrics": {metric: {"mean": methods[method][metric]} for metric in headline}}
        for method in ("no_relation", "frequency", "chance")
        if method in methods
    ]
    return Measured("cross_modal", result | {"controls": beside}, headline)


def similarity(setup: Setup, name: str, tables: tuple[SimilarityTable, ...]) -> Measured:
    """Semantic similarity, with amino-acid composition beside the embeddings."""
    del name
    known = {accession: seq for table in tables for accession, seq in zip(table.names, table.sequences, strict=True)}
    result = {}
    for source, features in {"embeddings": setup.embed, "composition": composition}.items():
        vectors = dict(zip(known, features(list(known.values())), strict=True))
        result[source] = {key: dataclasses.asdict(value) for key, value in agreements(vectors, tables).items()}
    headline = {
        key: {"mean": value["correlation"], "std": None, "interval": value["interval"]}
        for key, value in result["embeddings"].items()
    }
    of_composition = {key: {"mean": value["correlation"]} for key, value in result["composition"].items()}
    beside = [{"protocol": "composition", "metrics": of_composition}]
    return Measured("semantic_similarity", result | {"controls": beside}, headline)


FAMILIES: dict[type, Callable[[Setup, str, Benchmark], Measured]] = {
    Task: supervised,
    PromptedTask: by_prompts,
    InteractionGraph: interactions,
    KnowledgeGraph: transformation,
    tuple: similarity,
}
"""Who measures a benchmark, by the form of its data."""

"""The benchmarks on public data: which family measures which, and what of a checkpoint each one asks.

Every benchmark leaves `results/NAME.json`, keyed by what it depends on: parameters, data files, protocol. An evaluation that
was stopped takes what is there and goes on; another checkpoint or other data are measured anew.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from data_pipelines.errors import UserError
from eval import classification, mutation_effect
from eval.cross_modal import cross_modal
from eval.cross_modal.node_embeddings import embed_nodes
from eval.data import manifest
from eval.data.audit import audit
from eval.data.task import Benchmark, InteractionGraph, KnowledgeGraph, SimilarityTable, SourceFile, Task
from eval.features.embedding_cache import CachedEmbedder
from eval.features.sequence_features import composition
from eval.interaction import protein_interaction
from eval.protocols.fine_tuning import FineTuning
from eval.protocols.probe import FrozenProbe
from eval.protocols.problem import FittingProtocol
from eval.protocols.ridge import Ridge
from eval.protocols.supervised import standard_controls
from eval.reporting.published import completeness, published
from eval.reporting.report import to_json
from eval.semantic_similarity import agreements
from protclip_jax.inference import ProtCLIP

PROTOCOLS = ("probe", "fine_tuning")


class Measured(NamedTuple):
    """What a family says of a benchmark."""

    family: str
    result: dict
    headline: dict[str, dict]
    """The numbers to compare: metric → `mean`, `std` over seeds, 95 % `interval`; what is undefined is None."""


@dataclasses.dataclass(frozen=True)
class Suite:
    """A checkpoint and how it is to be measured.

    Attributes:
      model, checkpoint, step: the loaded model, and where it came from.
      embed: its mean embeddings, kept on disk.
      protocol: one of `PROTOCOLS`, for the benchmarks of single proteins.
      configs: hyper-parameters, by the names of the files in configs/eval.
      folder: for results and for states of fine-tuning.
    """

    model: ProtCLIP
    checkpoint: pathlib.Path
    step: int
    embed: CachedEmbedder
    protocol: str
    configs: Mapping[str, ConfigDict]
    folder: pathlib.Path

    def results(self, names: Sequence[str], data_dir: pathlib.Path) -> dict[str, dict]:
        """The result of each benchmark that the data folder has; of the others `missing`, a sentence on what is wanted.

        A result holds `benchmark`, `family`, `headline` (metric → mean, std, interval), `result` (all that the family tells),
        `data` (files, counts, whether they are the published ones), `published`, `seconds`, `hardware`.
        """
        found = {}
        for name in names:
            try:
                data = manifest.load(data_dir, name)
            except manifest.MissingData as error:
                found[name] = {"benchmark": name, "missing": str(error)}
                continue
            found[name] = self._stored(name, data) or self._measured(name, data)
        return found

    def _stored(self, name: str, data: Benchmark) -> dict | None:
        """An earlier run's result, if it is of the same parameters, data and protocol."""
        try:
            stored = json.loads(self._path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return stored if stored.get("key") == self._key(name, data) else None

    def _measured(self, name: str, data: Benchmark) -> dict:
        start = time.perf_counter()
        family, result, headline = FAMILIES[type(data)](self, name, data)
        measured = {
            "benchmark": name,
            "family": family,
            "headline": headline,
            "result": result,
            "data": described(name, data),
            "published": [row._asdict() for row in published(name)],
            "seconds": time.perf_counter() - start,
            "hardware": f"{jax.device_count()} × {jax.devices()[0].device_kind}, {os.cpu_count()} CPU cores",
            "key": self._key(name, data),
        }
        measured = to_json(measured)
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps(measured, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(partial, path)
        return measured

    def fitting_protocol(self) -> FittingProtocol:
        """How heads are learnt on the model."""
        if self.protocol == "probe":
            return FrozenProbe(self.embed, self.configs["probe"])
        return FineTuning(self.checkpoint, self.configs["fine_tuning"], self.folder / "fine_tuning", step=self.step)

    def controls(self) -> list[FittingProtocol]:
        """What supervised results stand beside."""
        if self.protocol == "probe":
            return standard_controls(self.fitting_protocol(), self.configs["probe"])
        # Shuffled labels would cost as much as the fine-tuning itself.
        return [Ridge(), FrozenProbe(composition, self.configs["probe"], name="composition probe")]

    def _path(self, name: str) -> pathlib.Path:
        return self.folder / "results" / f"{name}.json"

    def _key(self, name: str, data: Benchmark) -> str:
        """A digest of all that a result depends on."""
        configs = {kind: config.to_dict() for kind, config in self.configs.items()}
        if self.protocol == "probe":
            configs.pop("fine_tuning", None)
        files = sorted(source.sha256 for source in sources_of(data))
        depends = [name, self.protocol, self.model.fingerprint, files, configs]
        return hashlib.sha256(json.dumps(depends, sort_keys=True, default=str).encode()).hexdigest()


def supervised(suite: Suite, name: str, task: Task) -> Measured:
    """Classes or numbers of single proteins, by the suite's protocol."""
    del name
    family = mutation_effect if task.kind == "regression" else classification
    splits = suite.configs[suite.protocol].splits.to_dict()
    result = family.run(task, suite.fitting_protocol(), splits=splits, controls=suite.controls())
    headline = {metric: {key: value[key] for key in ("mean", "std", "interval")} for metric, value in result["metrics"].items()}
    return Measured(family.__name__.rpartition(".")[2], result, headline)


def interactions(suite: Suite, name: str, graph: InteractionGraph) -> Measured:
    """Types of protein–protein interaction, on each split and with messages over either graph."""
    del name
    config = suite.configs["protein_interaction"]
    result = protein_interaction.run(graph, suite.embed, config)
    headline = {}
    for split, measured in result["splits"].items():
        for messages in config.messages:
            score = measured["scores"][f"embeddings, {messages}"]
            interval = np.mean(score["intervals"], axis=0).tolist()
            headline[f"micro_f1 {split}, {messages}"] = {"mean": score["micro_f1"], "std": score["std"], "interval": interval}
    return Measured("protein_interaction", result, headline)


def transformation(suite: Suite, name: str, graph: KnowledgeGraph) -> Measured:
    """From one modality to another over a knowledge graph."""
    config = suite.configs["cross_modal"].copy_and_resolve_references()
    config.benchmarks = (name,)
    vectors = embed_nodes(graph, proteins=suite.embed, texts=suite.model.encode_texts)
    result = cross_modal.run(graph, vectors, config)
    bridge = result["benchmarks"][name]["bridge"]
    interval = np.mean(bridge["intervals"], axis=0).tolist()
    headline = {"mrr": {"mean": bridge["mrr"], "std": bridge["std"], "interval": interval}}
    headline |= {f"hits@{k}": {"mean": bridge[f"hits@{k}"], "std": None, "interval": None} for k in cross_modal.HITS}
    return Measured("cross_modal", result, headline)


def similarity(suite: Suite, name: str, tables: tuple[SimilarityTable, ...]) -> Measured:
    """Semantic similarity, with amino-acid composition beside the embeddings."""
    del name
    known = {accession: seq for table in tables for accession, seq in zip(table.names, table.sequences, strict=True)}
    result = {}
    for source, features in {"embeddings": suite.embed, "composition": composition}.items():
        vectors = dict(zip(known, features(list(known.values())), strict=True))
        result[source] = {key: dataclasses.asdict(value) for key, value in agreements(vectors, tables).items()}
    headline = {
        key: {"mean": value["correlation"], "std": None, "interval": value["interval"]}
        for key, value in result["embeddings"].items()
    }
    return Measured("semantic_similarity", result, headline)


FAMILIES: dict[type, Callable[[Suite, str, Benchmark], Measured]] = {
    Task: supervised,
    InteractionGraph: interactions,
    KnowledgeGraph: transformation,
    tuple: similarity,
}
"""Who measures a benchmark, by the form of its data."""


def sources_of(data: Benchmark) -> list[SourceFile]:
    """The files that a benchmark was read from."""
    parts = data if isinstance(data, tuple) else (data,)
    return [source for part in parts for source in part.sources]


def described(name: str, data: Benchmark) -> dict:
    """What a report tells of the data: files and hashes, counts, rejects, duplicates, and how they relate to the published."""
    parts = data if isinstance(data, tuple) else (data,)
    told = {
        "files": [dataclasses.asdict(source) for source in sources_of(data)],
        "rejected": sum(len(part.rejects) for part in parts),
    }
    if isinstance(data, Task):
        counts = {split: len(samples) for split, samples in data.splits.items()}
        told["audit"] = audit(data)
    elif isinstance(data, InteractionGraph):
        counts = {"proteins": len(data.names), "pairs": len(data.edges)}
    elif isinstance(data, KnowledgeGraph):
        counts = {"nodes": len(data.nodes), "triplets": len(data.triplets)}
    else:
        counts = {table.set: int((table.pairs[:, 0] != table.pairs[:, 1]).sum()) for table in data}
    whole = completeness(name, counts)
    return told | {"counts": counts, "whole": whole.whole, "sentence": whole.sentence}


def choose(data_dir: pathlib.Path) -> list[str]:
    """The benchmarks whose data are in a folder.

    Raises:
      UserError: there are none.
    """
    present, wanted = manifest.available(data_dir)
    if not present:
        raise UserError(f"{data_dir} holds data of no benchmark; for example {next(iter(wanted.values()))}")
    return list(present)

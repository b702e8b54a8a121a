"""What is kept of a finished run: a number of each protein, so that clusters can be drawn anew later."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int

from data_pipelines.protanno.dataset import ProtAnno, open_dataset
from eval.pretraining.retrieval import Retrieval
from eval.pretraining.segment_swap import SegmentSwap
from eval.pretraining.single_property import SingleProperty
from eval.pretraining.trained_baselines import TrainedBaselines
from protclip_jax.config.schema import completed
from protclip_jax.inference.protclip import ProtCLIP

POOL = 256
"""Records of the test split with distinct biotexts."""


def read_clusters(path: Path) -> dict[str, int]:
    """Accession → number of its cluster, from the sample's `clusters.tsv`."""
    numbers: dict[str, int] = {}
    clusters = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        cluster, accession = line.split("\t")
        clusters[accession] = numbers.setdefault(cluster, len(numbers))
    return clusters


def measure(model: ProtCLIP, dataset: ProtAnno, clusters: Mapping[str, int], *, split: str) -> dict[str, np.ndarray]:
    """The arrays of one run, network beside linear model.

    `retrieval/NAME` [N] reciprocal ranks and `retrieval/clusters` [N]; of each kind of question `single/KIND/NAME` [Q, N]
    cosines, `single/KIND/answered` [Q, N], `single/KIND/clusters` [N]; `swap/score` [S], `swap/property` [S] and
    `swap/clusters` [S].
    """
    linear = TrainedBaselines(dataset, completed(model.config)).linear
    models = {"network": model, "linear": linear.model}
    retrieval = Retrieval(dataset, split=split, pool=POOL)
    single, swap = SingleProperty(dataset, split=split), SegmentSwap(dataset, split=split)

    def numbered(accessions) -> Int[np.ndarray, " N"]:
        return np.array([clusters[accession] for accession in accessions], np.int64)

    found = {f"retrieval/{name}": retrieval.reciprocal_ranks(each) for name, each in models.items()}
    found["retrieval/clusters"] = numbered(retrieval.accessions)
    for name, each in models.items():
        found |= {f"single/{kind}/{name}": scores for kind, scores in single.scores(each).items()}
    for kind, asked in single.kinds.items():
        found[f"single/{kind}/answered"] = asked.answered
        found[f"single/{kind}/clusters"] = numbered(single.accessions)[asked.known]
    found["swap/score"] = swap.scores(model)
    found["swap/property"] = np.array([each.property for each in swap.swaps])
    found["swap/clusters"] = numbered(each.record.accession for each in swap.swaps)
    return found


def measure_checkpoint(checkpoint: Path, world: Path, *, split: str, output: Path) -> None:
    """Measures the checkpoint on the world's dataset and keeps the arrays."""
    model = ProtCLIP.load(checkpoint)
    dataset = open_dataset(world / "protanno", names=completed(model.config)["tokenizer"]["names"])
    np.savez_compressed(output, **measure(model, dataset, read_clusters(world / "clusters.tsv"), split=split))

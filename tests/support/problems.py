"""Small generated problems: proteins whose features are known, and targets that follow from them
or do not."""

import numpy as np

from configs.eval import probe as probe_config
from data_pipelines.common.hashing import hash64
from eval.benchmarks.classification import JUDGES
from eval.benchmarks.mutation_effect import JUDGE
from eval.data.base.task import Sample, Task
from eval.protocols.heads import KINDS

ACIDS = "ACDEFGHIKLMNPQRSTVWY"
WIDTH, CLASSES = 8, 3
SPLITS = {"valid_fraction": 0.2, "test_fraction": 0.2, "remove_leaks": False}


def judge(kind):
    return JUDGES.get(kind, JUDGE)


def features(sequences):
    """float32 [n, 8]: normal numbers that a sequence's hash decides, in units that need
    standardising."""
    drawn = [np.random.default_rng(hash64(sequence)).normal(size=WIDTH) for sequence in sequences]
    return (100 + 7 * np.stack(drawn)).astype(np.float32)


def target(kind, sequence):
    """What a two-layer head can learn of the features."""
    x = (features([sequence])[0].astype(float) - 100) / 7
    if kind == "regression":
        return float(50 + 10 * (x[0] - x[1]))
    if kind == "multiclass":
        return int(np.argmax(x[:CLASSES]))
    return tuple(np.flatnonzero(x[:CLASSES] > 0.3).tolist())


def sequences(count, *, seed=0, longest=30):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(ACIDS), rng.integers(12, longest + 1))) for _ in range(count)]


def samples(kind, count, *, seed=0, longest=30):
    made = sequences(count, seed=seed, longest=longest)
    return [Sample(f"P{i}", sequence, target(kind, sequence)) for i, sequence in enumerate(made)]


def task(kind, *, train=200, valid=60, test=80, name="planted", longest=30):
    sizes = {"train": train, "valid": valid, "test": test}
    splits = {
        s: samples(kind, size, seed=i, longest=longest)
        for i, (s, size) in enumerate(sizes.items())
        if size
    }
    classes = () if kind == "regression" else tuple("abc")
    return Task(name, kind, classes, splits, [], [], unit="K" if kind == "regression" else "")


def all_kinds():
    return list(KINDS)


HIDDEN, BATCH = 16, 16


def small(**changes):
    """The probe's config with a small network and few epochs."""
    config = probe_config.get_config()
    with config.unlocked():
        config.update(
            {"seeds": (0, 1), "hidden": HIDDEN, "batch_size": BATCH, "max_epochs": 3, **changes}
        )
    config.optimizer.learning_rate = 1e-2
    return config


def reference_loss(kind, outputs, targets):
    """The loss of each protein, float64."""
    if kind == "multiclass":
        shifted = outputs - outputs.max(1, keepdims=True)
        return np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(targets)), targets]
    if kind == "multilabel":
        return np.mean(np.log1p(np.exp(np.where(targets, -outputs, outputs))), axis=1)
    return (outputs[:, 0] - targets) ** 2


def seen(edges, *, train, test):
    """How many test edges have both, one or none of their proteins in a training edge: GNN-PPI's
    BS, ES and NS."""
    counts = np.isin(edges[test], edges[train]).sum(1).tolist()
    return counts.count(2), counts.count(1), counts.count(0)

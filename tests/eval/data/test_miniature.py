import numpy as np
import pytest

from eval.benchmarks.families import BENCHMARKS
from eval.data import manifest
from eval.data.base.task import KnowledgeGraph
from tests.support import miniature

KINDS = {name: benchmark.kind for name, benchmark in BENCHMARKS.items() if benchmark.kind}
SIZES = {
    "localisation": (10, {"train": 120, "valid": 40, "test": 40}),
    "membrane": (2, {"train": 110, "valid": 30, "test": 30}),
    "reaction": (4, {"train": 48, "valid": 16, "test": 16}),
    "ec": (6, {"train": 72, "valid": 24, "test": 24}),
    "go_mf": (3, {"train": 72, "valid": 24, "test": 24}),
    "go_bp": (4, {"train": 72, "valid": 24, "test": 24}),
    "go_cc": (5, {"train": 72, "valid": 24, "test": 24}),
    "beta_lactamase": (0, {"train": 290}),
    "aav": (0, {"train": 60, "test": 60}),
    "gb1": (0, {"train": 80, "valid": 16, "test": 64}),
    "thermostability": (0, {"train": 80, "valid": 20, "test": 30}),
    "fluorescence": (0, {"train": 140}),
    "stability": (0, {"train": 96, "valid": 32, "test": 32}),
    "localisation_scl2205": (4, {"train": 48, "valid": 16}),
    "ec_swissmodel": (6, {"train": 60, "valid": 18}),
    "go_2014_mf": (3, {"train": 80}),
    "go_2014_bp": (4, {"train": 64}),
    "go_2014_cc": (5, {"train": 80}),
}


def composition(samples):
    counts = np.array([list(map(s.sequence.count, miniature.RESIDUES)) for s in samples])
    return counts / np.array([len(s.sequence) for s in samples])[:, None]


def test_every_benchmark_is_there(miniature_folder):
    assert manifest.available(miniature_folder) == (list(BENCHMARKS), {})


@pytest.mark.parametrize("name", KINDS)
def test_tasks_have_their_kind_and_sizes_and_can_be_learnt(miniature_folder, name):
    task = manifest.load(miniature_folder, name)
    classes, sizes = SIZES[name]
    assert (task.name, task.kind, len(task.classes)) == (name, KINDS[name], classes)
    assert {split: len(samples) for split, samples in task.splits.items()} == sizes
    train = task.splits["train"]
    tested = task.splits.get("test", train)
    weights = np.linalg.lstsq(composition(train), encoded(task, train), rcond=None)[0]
    predicted, true = composition(tested) @ weights, encoded(task, tested)
    if task.kind == "multiclass":
        assert (predicted.argmax(1) == true.argmax(1)).mean() > 0.85
    else:
        assert np.corrcoef(predicted.ravel(), true.ravel())[0, 1] > 0.6


def encoded(task, samples):
    if task.kind == "regression":
        return np.array([[s.target] for s in samples])
    labels = [s.target if isinstance(s.target, tuple) else (s.target,) for s in samples]
    found = np.zeros((len(labels), len(task.classes)))
    for row, own in zip(found, labels, strict=True):
        row[list(own)] = 1
    return found


def test_ec_has_every_cut_off(miniature_folder):
    found = {s.identity for s in manifest.load(miniature_folder, "ec").splits["test"]}
    assert found == {0.3, 0.4, 0.5, 0.7, 0.95, 1.0}


def test_files_are_named_relative_to_the_folder(miniature_folder):
    task = manifest.load(miniature_folder, "localisation")
    assert [source.path for source in task.sources] == [
        "deeploc/train.fasta",
        "deeploc/valid.fasta",
        "deeploc/test.fasta",
    ]
    files = {source.path for source in task.sources}
    assert {reject.file for reject in task.rejects} == files


def test_graphs(miniature_folder):
    graph = manifest.load(miniature_folder, "disease2prot")
    assert isinstance(graph, KnowledgeGraph)
    assert graph is manifest.load(miniature_folder, "prot2bp")
    assert graph.vectors["drug"].values.shape == (15, 8)
    assert all(
        node.content
        for node in graph.nodes
        if graph.node_types[node.type] in ("gene/protein", "disease")
    )
    full, sparse, few = manifest.load(miniature_folder, "similarity_bp")
    assert [len(table.pairs) for table in (full, sparse, few)] == [190, 40, 66]
    interactions = manifest.load(miniature_folder, "string")
    assert len(interactions.names) == 80
    assert interactions.labels.any(1).all()


def test_a_seed_gives_the_same_files(miniature_folder, tmp_path):
    again, other = miniature.write(tmp_path / "a"), miniature.write(tmp_path / "b", seed=1)
    files = sorted(
        path.relative_to(again)
        for path in again.rglob("*")
        if path.is_file() and path.suffix != ".npz"
    )
    for path in files:
        assert (again / path).read_bytes() == (miniature_folder / path).read_bytes()
    assert (other / "deeploc/train.fasta").read_bytes() != (
        again / "deeploc/train.fasta"
    ).read_bytes()

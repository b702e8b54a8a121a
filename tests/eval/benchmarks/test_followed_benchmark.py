"""Public benchmarks that training follows: which numbers they give, and how many proteins they
take."""

import pytest

from data_pipelines.common.errors import UserError
from eval.benchmarks.base.single_proteins import limited
from eval.data import manifest
from eval.protocols.sequence_features import composition
from eval.public.followed_benchmark import FollowedBenchmark
from eval.registry import make_hooks
from tests.support import composition_model, miniature


class Composition:
    """A live model: nothing of it is kept on disk."""

    mean_embeddings = encode_proteins = staticmethod(composition)
    variant_scores = composition_model.Composition.variant_scores

    @staticmethod
    def encode_texts(texts):
        return composition(list(map(composition_model.residues_of, texts)))

    mean_text_embeddings = encode_texts


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return miniature.write(tmp_path_factory.mktemp("public"))


def test_one_entry_of_evals_follows_a_benchmark(data_dir):
    evals = {
        "membrane": {"data_dir": str(data_dir), "every": 10},
        "words": {"benchmark": "zero_shot_localisation", "data_dir": str(data_dir)},
        "few": {"benchmark": "few_shot_membrane", "data_dir": str(data_dir), "limit": 20},
        "similarity_mf": {"data_dir": str(data_dir)},
        "variants_gb1": {"data_dir": str(data_dir)},
    }
    hooks = make_hooks(evals, None)
    assert [hook.every for hook in hooks] == [10, None, None, None, None]
    metrics = {}
    for hook in hooks:
        metrics |= hook(Composition())
    assert metrics["membrane/accuracy"] > 0.7
    assert 0 <= metrics["words/accuracy_template_name"] <= 1
    assert metrics["few/accuracy_4_of_each_class"] > 0.5
    assert metrics["similarity_mf/500_cosine"] > 0
    assert metrics["variants_gb1/spearman"] > 0.9
    assert all(type(value) is float for value in metrics.values())


def test_configs_of_the_working_directory_come_before_those_of_the_package(
    data_dir, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    FollowedBenchmark("membrane", key="x", data_dir=str(data_dir))
    (tmp_path / "configs/eval").mkdir(parents=True)
    with pytest.raises(UserError, match="^configs/eval/probe.py does not exist"):
        FollowedBenchmark("membrane", key="x", data_dir=str(data_dir))


def sequences(task, split):
    return {sample.sequence for sample in task.splits[split]}


def test_a_limit_takes_the_same_proteins_of_every_split(data_dir):
    task = manifest.load(data_dir, "localisation")
    some = limited(task, 15)
    assert {split: len(samples) for split, samples in some.splits.items()} == {
        "train": 15,
        "valid": 15,
        "test": 15,
    }
    assert sequences(some, "test") < sequences(task, "test")
    assert limited(task, 15) == some
    assert sequences(limited(task, 10), "train") < sequences(some, "train")
    with pytest.raises(UserError, match="shs27k.*limit"):
        FollowedBenchmark("shs27k", key="x", data_dir=str(data_dir), limit=5)

"""What search is worth on trained models, and how a server bears load: long checks, and the
small form of the first."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from data_pipelines.protanno.dataset import open_dataset
from data_pipelines.protanno.record import biotext
from eval.metrics.statistics import auroc
from eval.pretraining.pool import fixed_pool
from eval.pretraining.retrieval import Retrieval
from eval.pretraining.segment_localisation import LOCALISED, find_cases
from protclip_jax.retrieval import SearchEngine
from protclip_jax.retrieval.index_folder import open_index
from protclip_jax.retrieval.query import Query
from tests.support import searching
from tests.support.paths import ROOT
from tests.support.serving_process import serving


@pytest.fixture(scope="module")
def demo():
    """The folder of `make demo`'s results: PROTCLIP_RUNS, by default runs."""
    folder = Path(os.environ.get("PROTCLIP_RUNS", ROOT / "runs"))
    if not (folder / "demo/report.json").exists():
        pytest.skip(f"{folder} holds no demo; run `make demo`, or set PROTCLIP_RUNS")
    return folder


def retrieved(engine, pool, top=10) -> float:
    """Text → protein R@10 through the engine: the pool's texts among the hits' texts, as the
    evaluation counts."""
    answers = engine.find(
        engine.proteins, engine.embed([Query("", "text", (text,)) for text in pool.texts]), top
    )
    ids = [record.accession for record in pool.records]
    found = 0
    for id, answer in zip(ids, answers, strict=True):
        found += id in {hit.id for hit in answer.hits}
    return found / len(ids)


def test_text_to_protein_recall_through_the_index_is_that_of_the_evaluation(
    search_folder, sample_dataset, tmp_path
):
    dataset = open_dataset(sample_dataset / "protanno")
    pool = fixed_pool(dataset, split="test", size=256)
    fasta = searching.write_fasta(tmp_path / "pool.fasta", pool.records)
    assert searching.make_index(search_folder.checkpoint, tmp_path / "i", input=fasta) == 0
    engine = SearchEngine.load(search_folder.checkpoint, index=tmp_path / "i")
    evaluated = Retrieval(dataset, split="test", pool=256).metrics(engine.model)
    assert retrieved(engine, pool) == pytest.approx(evaluated["t2p_r10"], abs=1e-9)


@pytest.mark.soak
def test_the_demo_through_an_exact_index_and_an_approximate_one(demo, tmp_path):
    """R@10 of the demo's report from an exact index of the pool; all records approximately
    within the stated recall."""
    dataset = open_dataset(demo / "sample/protanno")
    pool = fixed_pool(dataset, split="test", size=256)
    fasta = searching.write_fasta(tmp_path / "pool.fasta", pool.records)
    assert searching.make_index(demo / "demo", tmp_path / "pool", input=fasta) == 0
    engine = SearchEngine.load(demo / "demo", index=tmp_path / "pool")
    report = json.loads((demo / "demo/report.json").read_text())
    assert retrieved(engine, pool) == pytest.approx(report["retrieval"]["t2p_r10"], abs=0.005)

    options = {"input": demo / "sample/protanno", "kind": "approximate"}
    assert searching.make_index(demo / "demo", tmp_path / "all", **options) == 0
    opened = open_index(tmp_path / "all")
    stated = opened.manifest["approximate"]["recall"]
    assert min(stated.values()) >= 0.95
    queries = engine.model.encode_texts([biotext(record) for record in pool.records])
    found = opened.search(queries, 10)
    exact = np.sort(queries.astype(float) @ opened.vectors.parts[0].astype(float).T, axis=1)[:, -10]
    recall = (found.scores >= exact[:, None] - 1e-5).mean()
    print(f"recall@10 of the pool's texts among all records: {recall:.3f}, stated {stated}")
    assert recall >= stated["texts"] - 0.03
    with_index = SearchEngine(engine.model, opened, {})
    rows = {record.accession: row for row, record in enumerate(pool.records)}
    hits = []
    for answer in with_index.find(opened, queries):
        hits.append({hit.id for hit in answer.hits})
    truth = np.argsort(-(queries.astype(float) @ opened.vectors.parts[0].astype(float).T), axis=1)[
        :, :10
    ]
    ids = np.array(opened.items["id"].to_pylist())
    through_index = np.mean([id in hits[row] for id, row in rows.items()])
    exactly = np.mean([id in set(ids[truth[row]]) for id, row in rows.items()])
    print(
        f"text → protein R@10 among all records: {through_index:.3f} through the index, "
        f"{exactly:.3f} exactly"
    )
    assert abs(through_index - exactly) <= 1 - recall + 1e-9


@pytest.mark.soak
def test_the_servers_tracks_measure_as_the_demos_report(demo, tmp_path):
    """AUROC of the weights that the API gives for the pool's proteins against their planted
    residues."""
    dataset = open_dataset(demo / "sample/protanno")
    pool = fixed_pool(dataset, split="test", size=256)
    options = {"input": demo / "sample/protanno", "splits": ["test"]}
    assert searching.make_index(demo / "demo", tmp_path / "i", **options) == 0
    measured = {name: [] for name in LOCALISED}
    with serving(
        "--checkpoint", demo / "demo", "--index", tmp_path / "i", log=tmp_path / "log", xla_flags=""
    ) as server:
        for case in find_cases(pool.records):
            status, answer = server.ask(
                "/api/tracks", {"id": case.record.accession, "properties": case.texts}
            )
            assert status == 200
            for track in answer["tracks"]:
                measured[track["property"]].append(
                    auroc(np.array(track["weights"]), case.truth[track["property"]])
                )
    report = json.loads((demo / "demo/report.json").read_text())["pda"]["auroc"]
    print(
        {
            name: (round(float(np.mean(values)), 4), report[name])
            for name, values in measured.items()
        }
    )
    for name, values in measured.items():
        assert np.mean(values) == pytest.approx(report[name], abs=2e-3)


@pytest.mark.soak
def test_a_server_bears_load(search_folder, tmp_path):
    """30 s at 1, 8 and 32 clients without an error and in bounded memory; 429 beyond the queue;
    SIGTERM drains."""
    from benchmarks.serve_load import measure

    result = measure(
        ["--checkpoint", search_folder.checkpoint, "--index", search_folder.index],
        tmp_path / "log",
        seconds=30,
    )
    print(result)
    for load in result["load"]:
        assert set(load["statuses"]) == {"200"}
        assert load["memory_mib"]["largest"] < 1.2 * result["load"][0]["memory_mib"]["start"]
    assert set(result["overload"]["statuses"]) == {"200", "429"}
    assert (
        result["overload"]["memory_mib"]["largest"] < 1.3 * result["load"][0]["memory_mib"]["start"]
    )
    assert set(result["after_overload"]["statuses"]) == {"200"}
    assert result["drain"]["under_way"] > 0
    assert result["drain"]["statuses"] == {"200": 8}
    assert result["drain"]["exit_code"] == 0

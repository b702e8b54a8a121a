"""`python -m eval --embeddings`: our own vectors from a file give the numbers of the checkpoint
that made them."""

import json

import numpy as np
import pytest

from data_pipelines.common.hashing import sequence_hash
from eval import __main__ as cli
from eval.data import manifest, proteins
from eval.data.base.proteins import proteins_of
from protclip_jax.embed import __main__ as embed
from tests.support import miniature, tiny

ENOUGH = ["membrane", "similarity_mf", "shs27k", "few_shot_membrane"]
LEFT_OUT = {
    "zero_shot_localisation": "prompts",
    "variants_gb1": "masked language model",
    "prot2bp": "texts",
}
SMALL = [
    *("probe.seeds=(0,)", "probe.max_epochs=2", "probe.hidden=8", "few_shot.draws=2"),
    *(
        "protein_interaction.seeds=1",
        "protein_interaction.epochs=1",
        'protein_interaction.splits=("random",)',
    ),
    *("protein_interaction.network.width=8", "protein_interaction.network.layers=1"),
    *('protein_interaction.messages=("all",)', "protein_interaction.composition_baseline=False"),
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return miniature.write(tmp_path_factory.mktemp("public"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp("tiny"), tiny.CONFIG)


@pytest.fixture(scope="module")
def fasta(data_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("fasta") / "proteins.fasta"
    assert (
        proteins.main(["--data_dir", str(data_dir), "--benchmarks", *ENOUGH, "--output", str(path)])
        == 0
    )
    return path


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


def report(folder):
    return json.loads((folder / "report.json").read_text())


def numbers(result):
    """A result without what a clock or the way to the vectors changes."""
    kept = {key: value for key, value in result.items() if key not in ("seconds", "key")}
    return json.loads(
        json.dumps(kept), object_pairs_hook=lambda pairs: {k: v for k, v in pairs if k != "seconds"}
    )


@pytest.fixture(scope="module")
def of_model(checkpoint, data_dir, tmp_path_factory):
    """The results of the checkpoint itself."""
    folder = tmp_path_factory.mktemp("model")
    asked = ["--data_dir", data_dir, "--benchmarks", *ENOUGH, "--set", *SMALL]
    assert (
        run("--checkpoint", checkpoint, "--output", folder, "--cache", folder / "cache", *asked)
        == 0
    )
    return report(folder)["benchmarks"]


@pytest.mark.parametrize(
    ("form", "asked"),
    [(["x.h5", "--h5_keys", "hash"], ENOUGH), (["x.parquet"], ["similarity_mf"])],
    ids=["hdf5", "parquet"],
)
def test_our_own_vectors_give_the_numbers_of_the_checkpoint(
    checkpoint, data_dir, fasta, of_model, tmp_path, form, asked
):
    name, *keys = form
    made = [
        "--checkpoint",
        checkpoint,
        "--input",
        fasta,
        "--output",
        tmp_path / name,
        "--include",
        "mean",
        *keys,
    ]
    assert embed.main([str(argument) for argument in made]) == 0
    given = ["--data_dir", data_dir, "--benchmarks", *asked, "--set", *SMALL]
    assert run("--embeddings", tmp_path / name, "--output", tmp_path / "file", *given) == 0
    of_file = report(tmp_path / "file")["benchmarks"]
    assert list(of_file) == asked
    for benchmark in asked:
        assert_close(numbers(of_file[benchmark]), numbers(of_model[benchmark]))
    assert report(tmp_path / "file")["provenance"]["vectors"] == fasta.read_text().count(">")


def assert_close(a, b):
    """Equal, but for the last digits of numbers: batches of another make-up sum in another
    order."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_close(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for pair in zip(a, b, strict=True):
            assert_close(*pair)
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-4)
    else:
        assert a == b


def test_the_vectors_are_used_and_not_something_else(data_dir, fasta, tmp_path):
    """Vectors that hold the target itself are nearly always right."""
    task = manifest.load(data_dir, "membrane")
    found = {sample.sequence: sample for samples in task.splits.values() for sample in samples}
    ids = np.array([sequence_hash(sequence) for sequence in found])
    values = np.eye(2, dtype=np.float32)[[sample.target for sample in found.values()]]
    np.savez(tmp_path / "x.npz", ids=ids, vectors=values)
    asked = [
        "--embeddings",
        tmp_path / "x.npz",
        "--data_dir",
        data_dir,
        "--benchmarks",
        "few_shot_membrane",
        "membrane",
    ]
    assert (
        run(*asked, "--set", *SMALL, "probe.max_epochs=60", "probe.optimizer.learning_rate=0.02")
        == 0
    )
    results = report(tmp_path / "x.npz.eval")["benchmarks"]
    assert results["few_shot_membrane"]["headline"]["accuracy, 1 of each class"]["mean"] == 1.0
    assert results["membrane"]["headline"]["accuracy"]["mean"] == 1.0
    assert "found by id" not in (tmp_path / "x.npz.eval/report.md").read_text()


def test_the_report_counts_what_was_found_by_name(data_dir, tmp_path):
    names = np.array(
        [min(names) for names in proteins_of(_parts(data_dir, "similarity_mf")).values()]
    )
    np.savez(
        tmp_path / "x.npz", ids=names, vectors=np.random.default_rng(0).random((len(names), 3))
    )
    assert (
        run(
            "--embeddings",
            tmp_path / "x.npz",
            "--data_dir",
            data_dir,
            "--benchmarks",
            "similarity_mf",
        )
        == 0
    )
    page = (tmp_path / "x.npz.eval/report.md").read_text()
    assert (
        "20 of 20 vectors were found by id or accession; their sequences were not compared" in page
    )


def test_what_vectors_are_not_enough_for_is_left_out_in_one_sentence(
    data_dir, fasta, tmp_path, capsys
):
    np.savez(tmp_path / "x.npz", ids=np.array(["a"]), vectors=np.zeros((1, 2)))
    assert (
        run("--embeddings", tmp_path / "x.npz", "--data_dir", data_dir, "--benchmarks", *LEFT_OUT)
        == 0
    )
    printed = capsys.readouterr().err.splitlines()
    for name, reason in LEFT_OUT.items():
        (line,) = [line for line in printed if line.startswith(f"{name} is left out: ")]
        assert reason in line


def test_missing_vectors_are_counted_and_named_and_cost_no_other(data_dir, tmp_path, capsys):
    ids = list(map(sequence_hash, proteins_of([manifest.load(data_dir, "membrane")])))
    np.savez(
        tmp_path / "x.npz",
        ids=np.array(ids),
        vectors=np.random.default_rng(0).random((len(ids), 3)),
    )
    asked = [
        "--embeddings",
        tmp_path / "x.npz",
        "--data_dir",
        data_dir,
        "--benchmarks",
        "stability",
        "few_shot_membrane",
    ]
    assert run(*asked, "--set", *SMALL) == 2
    error = capsys.readouterr().err
    assert "stability is left out: " in error
    count = len(proteins_of([manifest.load(data_dir, "stability")]))
    assert (
        f"lacks vectors of {count} of {count} proteins, such as line 2, line 3, line 4; "
        "embed the FASTA" in error
    )
    assert report(tmp_path / "x.npz.eval")["benchmarks"]["few_shot_membrane"]["headline"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--benchmarks", "retrieval", "--data_dir", "{data}"],
            "retrieval needs a model that reads texts or residues",
        ),
        (
            ["--protocol", "fine_tuning", "--data_dir", "{data}"],
            "--protocol=fine_tuning trains a model",
        ),
        ([], "--embeddings needs --data_dir"),
        (
            ["--data_dir", "{data}", "--cache", "x", "--step", "3"],
            "--step and --cache only apply to --checkpoint",
        ),
        (["--data_dir", "{data}", "--benchmarks", "membran"], "unknown benchmark 'membran'"),
    ],
)
def test_mistakes_are_one_sentence(data_dir, tmp_path, capsys, arguments, message):
    np.savez(tmp_path / "x.npz", ids=np.array(["a"]), vectors=np.zeros((1, 2)))
    assert (
        run(
            "--embeddings",
            tmp_path / "x.npz",
            *(argument.format(data=data_dir) for argument in arguments),
        )
        == 2
    )
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_the_fasta_of_benchmarks_has_every_sequence_once(data_dir, fasta):
    expected = {seq for name in ENOUGH for seq in proteins_of(_parts(data_dir, name))}
    records = fasta.read_text().split(">")[1:]
    sequences = ["".join(record.split("\n")[1:]) for record in records]
    assert len(sequences) == len(set(sequences))
    assert set(sequences) == expected


def _parts(data_dir, name):
    data = manifest.load(data_dir, name)
    return data if isinstance(data, tuple) else (data,)

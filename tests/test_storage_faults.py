"""Storage faults as a run meets them: a damaged dataset or checkpoint, a full disk, a workdir
that another run has."""

import pathlib
import random
import re
import shutil
import subprocess

import pytest

from data_pipelines.common.errors import command
from data_pipelines.protanno.dataset import open_dataset, split_name
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from data_pipelines.training.masking import MASKS
from data_pipelines.training.pipeline import StreamSource, TrainPipeline
from data_pipelines.training.sampling import make_sampler
from eval import __main__ as evaluate
from protclip_jax.checkpoints import checksums
from protclip_jax.embed import __main__ as embed
from tests.support import training_runs as runs
from tests.support.damage import files, flip_bit
from tests.support.sentences import only_sentence, taken


def largest(folder):
    return max(files(folder), key=lambda path: path.stat().st_size)


@command
def read_for_ever(folder, vocabulary, workers, *, meanwhile):
    dataset = open_dataset(folder)
    meanwhile()
    sizes = {cluster: dataset.train_size(cluster) for cluster in dataset.statistics["clusters"]}
    sizes = {cluster: size for cluster, size in sizes.items() if size}
    source = StreamSource(
        records={
            cluster: dataset.splits[split_name(cluster)].without_features() for cluster in sizes
        },
        sampler=make_sampler(sizes, seed=0, drop_confidence=(), drop_coverage=()),
        text_tokenizer=TextTokenizer.load(vocabulary),
        masks=MASKS["shared"],
        streams=4,
        slots=4,
        protein_tokens=512,
        text_tokens=640,
        max_protein_tokens=256,
        max_text_tokens=128,
    )
    with TrainPipeline(source, rows=8, local_streams=range(4), workers=workers) as pipeline:
        while True:
            pipeline.next()


def scramble(path):
    content = path.read_bytes()
    used = len(content.rstrip(b"\0"))
    path.write_bytes(bytes(byte ^ 1 for byte in content[:used]) + content[used:])


@pytest.mark.parametrize(
    ("damage", "workers"),
    [
        (scramble, 0),
        (scramble, 2),
        (pathlib.Path.unlink, 0),
        pytest.param(pathlib.Path.unlink, 2, marks=pytest.mark.soak),
    ],
)
def test_a_file_damaged_after_opening_ends_the_run_in_one_sentence(
    sample_dataset, tmp_path, capfd, damage, workers
):
    folder = shutil.copytree(sample_dataset / "protanno", tmp_path / "protanno")
    (chosen,) = folder.glob("*trembl_c2_r2*")
    vocabulary = sample_dataset / "vocab.txt"
    assert read_for_ever(folder, vocabulary, workers, meanwhile=lambda: damage(chosen)) == 2
    assert f"the dataset's file {chosen} is damaged or missing (" in only_sentence(
        capfd.readouterr().err
    )


@pytest.fixture(scope="module")
def run(sample_dataset):
    """Runs a trainer of one device to its end; returns its exit code and what it wrote to the
    log."""

    def run(workdir, *more, hosts=1, devices=1):
        logs = [runs.log_file(workdir, host) for host in range(hosts)]
        before = [log.stat().st_size if log.exists() else 0 for log in logs]
        codes = runs.finish(
            runs.start(sample_dataset, workdir, *more, hosts=hosts, devices=devices)
        )
        texts = [log.read_text()[start:] for log, start in zip(logs, before, strict=True)]
        return (codes[0], texts[0]) if hosts == 1 else (codes, texts)

    return run


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("finished") / "run"
    code, log = run(workdir)
    assert code == 0, log
    return workdir


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copied")


def warnings(log):
    return [line for line in log.splitlines() if line.startswith("warning: ")]


def test_a_run_with_a_damaged_checkpoint_goes_back_one_and_ends_the_same(run, finished, copied):
    flip_bit(largest(copied / "checkpoints/4/params"), random.Random(0))
    code, log = run(copied)
    assert code == 0, log
    (warning,) = warnings(log)
    assert re.match(
        r"warning: checkpoint 4 is damaged \(params/.* is not as it was saved\).*resuming "
        r"from 2\.$",
        warning,
    )
    assert checksums.find_damage(copied / "checkpoints/4.damaged") is not None
    runs.assert_identical(copied, finished)


@pytest.mark.soak
def test_a_run_without_an_intact_checkpoint_ends_and_touches_nothing(run, copied):
    for step in (2, 4):
        flip_bit(largest(copied / "checkpoints" / str(step)), random.Random(0))
    before = {path: path.read_bytes() for path in files(copied)}
    code, log = run(copied)
    assert code == 2
    assert re.search(
        r"every checkpoint in .* is damaged \(4: .*; 2: .*\); replace one", only_sentence(log)
    )
    assert {path: path.read_bytes() for path in files(copied)} == before


@pytest.mark.soak
def test_all_hosts_go_back_to_the_same_checkpoint(run, finished, copied):
    flip_bit(largest(copied / "checkpoints/4/optimizer"), random.Random(0))
    codes, logs = run(copied, hosts=2, devices=2)
    assert codes == [0, 0], logs
    assert [len(warnings(log)) for log in logs] == [1, 0]
    steps = [record["step"] for record in runs.records(finished)]
    assert [record["step"] for record in runs.records(copied)] == steps


def test_a_disk_that_fills_up_ends_the_run_and_with_more_room_it_goes_on(run, finished, small_disk):
    second = files(finished / "checkpoints/4")
    rest = [path for path in files(finished) if path not in second]
    disk = small_disk(taken(rest) + taken(second) // 2)
    code, log = run(disk / "run")
    assert code == 1
    found = only_sentence(log)
    assert (
        f"--workdir={disk}/run cannot be written (No space left on device); free some space"
        in found
    )
    assert checksums.find_damage(disk / "run/checkpoints/2") is None
    assert runs.saved_steps(disk / "run") == [2]

    subprocess.run(
        ["mount", "-o", f"remount,size={2 * (taken(rest) + taken(second))}", str(disk)], check=True
    )
    code, log = run(disk / "run")
    assert code == 0, log
    runs.assert_identical(disk / "run", finished)
    assert sorted(path.name for path in (disk / "run/checkpoints").iterdir()) == ["2", "4"]


def test_evaluating_and_embedding_a_damaged_checkpoint_name_the_others(
    finished, copied, sample_dataset, capsys
):
    flip_bit(largest(copied / "checkpoints/4/params"), random.Random(0))
    data = ["--data_dir", str(sample_dataset / "protanno"), "--benchmarks", "retrieval"]
    assert evaluate.main(["--checkpoint", str(copied), "--step", "4", *data]) == 2
    found = (
        r"checkpoints/4 is damaged \(params/.*\); replace it with an intact copy, or name another "
        r"step \(it has 2\)\.$"
    )
    assert re.search(found, only_sentence(capsys.readouterr().err))
    fasta = copied / "x.fasta"
    fasta.write_text(">a\nMKVL\n")
    embedding = ["--input", str(fasta), "--output", str(copied / "x.h5")]
    assert embed.main(["--checkpoint", str(copied), "--step", "latest", *embedding]) == 2
    assert re.search(found, only_sentence(capsys.readouterr().err))


@pytest.mark.soak
def test_of_two_trainers_the_second_is_refused_until_the_first_is_killed(
    run, sample_dataset, tmp_path
):
    first = runs.start(sample_dataset, tmp_path / "run", "--config.total_steps=4000", devices=1)
    try:
        runs.wait_for(lambda: runs.trained_step(tmp_path / "run") >= 3, first)
        code, log = run(tmp_path / "run", "--config.total_steps=4000")
        assert code == 2
        assert "is in use by another training process" in only_sentence(log)
        assert first[0].poll() is None
    finally:
        runs.kill_session(first[0])
    saved = max(runs.saved_steps(tmp_path / "run"))
    code, log = run(tmp_path / "run", f"--config.total_steps={saved + 2}")
    assert code == 0, log

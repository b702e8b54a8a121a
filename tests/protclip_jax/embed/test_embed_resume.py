"""Embedding with a real (tiny) model in processes of its own: numbers, kill -9, memory."""

import os
import re
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from protclip_jax import ProtCLIP
from protclip_jax.embed import __main__ as embed
from protclip_jax.inference.windows import Windows
from tests.support import tiny
from tests.support.compilation import QUICK_COMPILATION
from tests.support.fake_embedder import content, digest
from tests.support.paths import ROOT
from tests.support.tiny import CONFIG


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp("checkpoint"), {**CONFIG, "total_steps": 1})


def start(*arguments, chunk_tokens=600, seconds=0):
    environment = {**os.environ, "XLA_FLAGS": QUICK_COMPILATION}
    command = [
        sys.executable,
        "-m",
        "tests.support.embed_program",
        str(chunk_tokens),
        str(seconds),
        *map(str, arguments),
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)


def finished(process):
    _, found = process.communicate(timeout=300)
    assert process.returncode == 0, found
    return found


def test_a_killed_run_gives_the_same_files_and_the_models_numbers(tmp_path, checkpoint):
    made = tiny.records(120, seed=5)
    long = "ACDEFGHIKLMNPQRSTVWY" * 5
    fasta = tmp_path / "x.fasta"
    fasta.write_text("".join(f">{r.accession}\n{r.sequence}\n" for r in made) + f">long\n{long}\n")
    windows = Windows(max_residues=40, overlap=10)
    kinds = ("projected", "mean", "residues")
    arguments = ["--checkpoint", checkpoint, "--input", fasta, "--include", *kinds]
    arguments += ["--max_residues", 40, "--overlap", 10, "--batch_tokens", 256, "--output"]
    # The run to be stopped dawdles after each part, so that the signal finds it among them on any
    # machine.
    whole = start(*arguments, tmp_path / "whole.h5")
    stopped = start(*arguments, tmp_path / "stopped.h5", seconds=1)
    while not list(tmp_path.glob("stopped.h5.partial/*.npz")) and stopped.poll() is None:
        time.sleep(0.001)
    stopped.send_signal(signal.SIGKILL)
    assert stopped.wait() == -signal.SIGKILL
    stopped.stderr.close()
    assert not list(tmp_path.glob("stopped.*.h5"))
    resumed = start(*arguments, tmp_path / "stopped.h5")
    finished(whole)
    assert re.search(r"resuming: \d finished parts", finished(resumed))

    model, sequences = ProtCLIP.load(checkpoint), [*(r.sequence for r in made), long]
    expected = model.represent(sequences, kinds=kinds, windows=windows)
    for kind in kinds:
        assert digest(tmp_path / f"stopped.{kind}.h5") == digest(tmp_path / f"whole.{kind}.h5")
        facts, rows = content(tmp_path / f"stopped.{kind}.h5")
        assert facts["checkpoint"] == model.fingerprint
        names = [*(record.accession for record in made), "long"]
        assert [name for name, _, _ in rows] == names
        for (_, _, vector), reference in zip(rows, expected[kind], strict=True):
            np.testing.assert_allclose(np.array(vector), reference, atol=1e-5)


def test_texts_get_the_models_numbers(tmp_path, checkpoint, capsys):
    texts = ["FUNCTION: binds.", "a " * 100, "b"]
    (tmp_path / "x.txt").write_text("\n".join(texts))
    output = tmp_path / "x.parquet"
    assert (
        embed.main(
            [f"--checkpoint={checkpoint}", f"--input={tmp_path / 'x.txt'}", f"--output={output}"]
        )
        == 0
    )
    assert "long: 1 of more than 64 tokens: CUT" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="1 of 3 texts"):
        expected = ProtCLIP.load(checkpoint).encode_texts([text.strip() for text in texts])
    np.testing.assert_allclose(
        np.array([vector for _, _, vector in content(output)[1]]), expected, atol=1e-6
    )


def test_a_run_killed_at_any_file_operation_can_be_finished(tmp_path):
    command = [sys.executable, "-m", "tests.support.kill_points", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert min(map(int, done.stdout.split())) > 25


@pytest.mark.soak
def test_memory_does_not_grow_with_the_input(tmp_path, checkpoint):
    """Peak resident memory with 1,000 and with 100,000 proteins; 10 % and 64 MiB are left for
    allocators."""
    peaks = {}
    for count in (1_000, 100_000):
        fasta, output = tmp_path / f"{count}.fasta", tmp_path / f"{count}.h5"
        rng = np.random.default_rng(0)
        letters = "".join(rng.choice(list(tiny.ACIDS), 24 * count))
        starts = 24 * np.arange(count) + rng.integers(0, 16, count)
        fasta.write_text(
            "".join(f">p{i}\n{letters[begin : 24 * (i + 1)]}\n" for i, begin in enumerate(starts))
        )
        arguments = ["--checkpoint", checkpoint, "--input", fasta, "--output", output]
        process = start(*arguments, chunk_tokens=1 << 13)
        status, found = process.communicate()
        assert process.returncode == 0, found
        peaks[count] = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
        with h5py.File(output) as file:
            assert len(file) == count
    print(
        f"peak resident memory: {peaks[1_000]:.0f} MiB with 1,000, {peaks[100_000]:.0f} MiB "
        "with 100,000 proteins"
    )
    assert peaks[100_000] < 1.1 * peaks[1_000] + 64

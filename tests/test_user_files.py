"""Whatever a command would write is refused where it exists, before anything is computed, and
stays as it was."""

import shutil
import subprocess

import pytest

from data_pipelines import vocabulary
from data_pipelines.sample import __main__ as sample
from protclip_jax.embed import __main__ as embed
from protclip_jax.explain import __main__ as explain
from protclip_jax.search import __main__ as search
from protclip_jax.variants import __main__ as variants
from tests.support import tiny
from tests.support.paths import ROOT
from tests.support.sentences import only_sentence
from tests.support.tiny import CONFIG

SEQUENCE = "MKTAYIAKQRQISF"
NOWHERE = ["--checkpoint", "nowhere"]
COMMANDS = {
    "sample, the entries": (sample.main, [], ".", "sample.dat.gz"),
    "sample, the questions": (sample.main, [], ".", "questions.tsv"),
    "vocabulary": (vocabulary.main, ["--data_dir", "nowhere"], "vocab.txt", "vocab.txt"),
    "search": (
        search.main,
        [*NOWHERE, "--index", "nowhere", "--text", "a"],
        "hits.tsv",
        "hits.tsv",
    ),
    "explain, the figure": (
        explain.main,
        [*NOWHERE, "--sequence", SEQUENCE, "--name", "a"],
        "x.png",
        "x.png",
    ),
    "explain, the table": (
        explain.main,
        [*NOWHERE, "--sequence", SEQUENCE, "--name", "a"],
        "x.png",
        "x.tsv",
    ),
}
"""Name → (main, arguments, --output, what exists); what is missing shows that nothing was read
before."""

RESUMABLE = {
    "embed": (embed.main, ["--input", "{fasta}"], "o.h5", "o.h5"),
    "embed, the rejects": (embed.main, ["--input", "{fasta}"], "o.h5", "o.h5.rejects.tsv"),
    "variants, the figure": (variants.main, ["--sequence", SEQUENCE, "--scan"], "o.png", "o.png"),
    "variants, the table": (variants.main, ["--sequence", SEQUENCE, "--scan"], "o.png", "o.tsv"),
    "variants, the rejects": (
        variants.main,
        ["--sequence", SEQUENCE, "--scan"],
        "o.png",
        "o.png.rejects.tsv",
    ),
}
"""The same of commands that look into the checkpoint first."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp("checkpoint"), CONFIG)


def assert_kept(main, arguments, folder, output, existing, capsys):
    (folder / existing).write_text("mine")
    assert main([*arguments, "--output", str(folder / output)]) == 2
    assert f"{folder / existing} exists; remove it or choose another --output." in only_sentence(
        capsys.readouterr().err
    )
    assert [path.name for path in folder.iterdir()] == [existing]
    assert (folder / existing).read_text() == "mine"


@pytest.mark.parametrize("name", COMMANDS)
def test_what_exists_is_kept(name, tmp_path, capsys):
    main, arguments, output, existing = COMMANDS[name]
    assert_kept(main, arguments, tmp_path, output, existing, capsys)


@pytest.mark.parametrize("name", RESUMABLE)
def test_what_exists_beside_a_run_that_can_go_on_is_kept(name, checkpoint, tmp_path, capsys):
    main, arguments, output, existing = RESUMABLE[name]
    (tmp_path / "x.fasta").write_text(f">p\n{SEQUENCE}\n")
    (tmp_path / "out").mkdir()
    arguments = [argument.format(fasta=tmp_path / "x.fasta") for argument in arguments]
    assert_kept(
        main,
        ["--checkpoint", str(checkpoint), *arguments],
        tmp_path / "out",
        output,
        existing,
        capsys,
    )


def test_make_clean_leaves_what_was_trained(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for path in ("runs/650m/checkpoints/20000", "runs/demo", ".venv", ".venv-gpu"):
        (tmp_path / path).mkdir(parents=True)
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert not (tmp_path / ".venv").exists()
    assert (tmp_path / "runs/650m/checkpoints/20000").is_dir()
    assert (tmp_path / "runs/demo").is_dir()
    shown = subprocess.run(
        ["make", "-n", "demo", "VENV=absent"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "train.py" in shown.stdout
    assert "rm " not in shown.stdout

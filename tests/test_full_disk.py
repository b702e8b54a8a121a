"""Commands that write onto a disk with too little room: one sentence, nothing half written, and
success with more room."""

import subprocess

import pytest

from data_pipelines import vocabulary
from data_pipelines.build import __main__ as build
from data_pipelines.sample import __main__ as sample
from protclip_jax.convert.__main__ import main as convert
from protclip_jax.embed import __main__ as embed
from protclip_jax.explain import __main__ as explain
from protclip_jax.variants import __main__ as variants
from tests.support import tiny
from tests.support.damage import files
from tests.support.sentences import only_sentence, taken
from tests.support.tiny import CONFIG

SEQUENCE = "MKTAYIAKQRQISF" * 20


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp("checkpoint"), CONFIG)


@pytest.fixture
def proteins(tmp_path):
    path = tmp_path / "x.fasta"
    path.write_text("".join(f">{name}\n{SEQUENCE}\n" for name in range(8)))
    return path


COMMANDS = {
    "sample": (sample.main, ["--records", "300"], "made"),
    "build": (build.main, ["--input", "{sample}/sample.dat.gz", "--workers", "1"], "built"),
    "vocabulary": (
        vocabulary.main,
        ["--data_dir", "{sample}/protanno", "--size", "2000"],
        "new/vocab.txt",
    ),
    "convert params": (convert, ["params", "--checkpoint", "{checkpoint}"], "copy"),
    "convert to_hf": (convert, ["to_hf", "--checkpoint", "{checkpoint}"], "hf"),
    "embed": (
        embed.main,
        ["--checkpoint", "{checkpoint}", "--input", "{proteins}", "--include", "residues"],
        "o.h5",
    ),
    "explain": (
        explain.main,
        ["--checkpoint", "{checkpoint}", "--sequence", SEQUENCE, "--location", "abc"],
        "o.png",
    ),
    "variants": (
        variants.main,
        ["--checkpoint", "{checkpoint}", "--sequence", SEQUENCE, "--scan", "--method", "wild_type"],
        "o.png",
    ),
}
"""Name → (its main, arguments but for --output, what it writes)."""

FOLDERS = ("build", "convert params", "convert to_hf")
"""Those whose output is one folder, there whole or not at all."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_sentence_and_with_more_room_the_same_line_is_done(
    name, sample_dataset, checkpoint, proteins, small_disk, tmp_path, capsys
):
    main, arguments, output = COMMANDS[name]
    positions = {"sample": sample_dataset, "checkpoint": checkpoint, "proteins": proteins}
    arguments = [argument.format(**positions) for argument in arguments]
    free = tmp_path / "free"
    free.mkdir()
    assert main([*arguments, "--output", str(free / output)]) == 0
    whole = {path.relative_to(free): path.read_bytes() for path in files(free)}
    needed = taken(files(free))

    disk = small_disk("4k")
    again = [*arguments, "--output", str(disk / output)]
    # What counts are pages, of which Orbax does not always fill as many.
    for room in (4096, needed // 2, min(needed - 4096, needed * 3 // 4)):
        subprocess.run(["mount", "-o", f"remount,size={room}", str(disk)], check=True)
        capsys.readouterr()
        assert main(again) == 1
        assert "cannot be written (No space left on device); free some space" in only_sentence(
            capsys.readouterr().err
        )
        left = [
            path.relative_to(disk)
            for path in files(disk)
            if not path.is_relative_to(disk / f"{output}.partial")
        ]
        assert all((disk / path).read_bytes() == whole[path] for path in left)
        if name in FOLDERS:
            assert not (disk / output).exists()
    subprocess.run(["mount", "-o", f"remount,size={4 * needed}", str(disk)], check=True)
    assert main(again) == 0
    # Orbax names the files of arrays at random.
    made = {path.relative_to(disk) for path in files(disk)}
    assert {path for path in made ^ whole.keys() if "params" not in path.parts} == set()

"""`python -m protclip_jax.embed` with a fake model: what is read, told, refused and written."""

import gzip
import hashlib
import os
import resource
import threading

import h5py
import numpy as np
import pytest

from data_pipelines.readers.streams import numbered_lines
from protclip_jax.embed import __main__ as embed
from protclip_jax.embed import parts
from tests.support.fake_embedder import FakeModel, content, run, vectors

FASTA = ">a first\nMKVLK*\n>a\nacd\n>\nWWWW\n>bad\nMK1\n>b\nMKV\nAC-D\n"
EXPECTED = [("a", "MKVLK"), ("a_2", "ACD"), ("sequence_3", "WWWW"), ("b", "MKVACD")]
EXPECTED_NAMES = [name for name, _ in EXPECTED]


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "x.fasta"
    path.write_text(FASTA)
    return path


def rows(path):
    return content(path)[1]


@pytest.mark.parametrize("suffix", ["h5", "hdf5", "parquet"])
@pytest.mark.parametrize("chunk_tokens", [1, 12, 1000])
def test_every_usable_protein_once_in_order_whatever_the_chunks(
    tmp_path, fasta, capsys, suffix, chunk_tokens
):
    output = tmp_path / f"out.{suffix}"
    assert run(FakeModel(), "--input", fasta, "--output", output, chunk_tokens=chunk_tokens) == 0
    assert capsys.readouterr().err.splitlines()[-1] == f"wrote {output}"
    found = rows(output)
    assert [name for name, _, _ in found] == EXPECTED_NAMES
    for (_, _, vector), (_, sequence) in zip(found, EXPECTED, strict=True):
        np.testing.assert_array_equal(np.array(vector, np.float32), vectors(sequence, "projected"))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["x.fasta", output.name, f"{output.name}.rejects.tsv"]
    )


@pytest.mark.parametrize("suffix", ["h5", "parquet"])
def test_several_kinds_come_from_one_pass_into_a_file_each(tmp_path, fasta, suffix):
    model = FakeModel()
    asked = ["--include", "residues", "mean", "residues", "--batch_tokens", 7]
    assert (
        run(model, "--input", fasta, "--output", tmp_path / f"o.{suffix}", *asked, chunk_tokens=12)
        == 0
    )
    assert [call["batch_tokens"] for call in model.calls] == [7, 7]
    assert sum(len(call["sequences"]) for call in model.calls) == 4
    for kind in ("residues", "mean"):
        facts, found = content(tmp_path / f"o.{kind}.{suffix}")
        assert (facts["kind"], facts["checkpoint"], facts["source"]) == (
            kind,
            model.fingerprint,
            "x.fasta",
        )
        assert (facts["long_proteins"], int(facts["max_residues"])) == ("windows", 1022)
        for (_, length, vector), (_, sequence) in zip(found, EXPECTED, strict=True):
            np.testing.assert_array_equal(np.ravel(vector), vectors(sequence, kind).ravel())
            assert length in (None, len(sequence))
    assert not (tmp_path / f"o.{suffix}").exists()


def test_the_types_of_what_is_stored(tmp_path, fasta):
    import h5py
    import pyarrow as pa
    import pyarrow.parquet as pq

    for precision, dtype in (("float32", pa.float32()), ("float16", pa.float16())):
        for kind, expected in (("mean", pa.list_(dtype, 6)), ("residues", pa.large_list(dtype))):
            output = tmp_path / f"{precision}{kind}.parquet"
            options = ["--input", fasta, "--include", kind, "--precision", precision]
            assert run(FakeModel(), *options, "--output", output) == 0
            schema = pq.read_schema(output)
            assert schema.field("embedding").type == expected
            assert schema.metadata[b"width"] == b"6"
            assert run(FakeModel(), *options, "--output", output.with_suffix(".h5")) == 0
            with h5py.File(output.with_suffix(".h5")) as file:
                assert {item.dtype for item in file.values()} == {np.dtype(precision)}
                assert file["000000001"].shape == ((3, 6) if kind == "residues" else (6,))


def test_what_float16_cannot_hold_is_refused(tmp_path, fasta, capsys):
    model = FakeModel()
    model.represent = lambda sequences, **_: {
        "projected": np.full((len(sequences), 4), 1e6, np.float32)
    }
    assert (
        run(model, "--input", fasta, "--output", tmp_path / "o.h5", "--precision", "float16") == 2
    )
    assert "not finite in float16" in capsys.readouterr().err


def test_what_is_unusual_is_reported_and_listed(tmp_path, fasta, capsys):
    fasta.write_text(FASTA + ">long\n" + "A" * 30 + "\n")
    options = [
        "--max_residues",
        20,
        "--overlap",
        5,
        "--long_proteins",
        "truncate",
        "--include",
        "residues",
    ]
    assert run(FakeModel(), "--input", fasta, "--output", tmp_path / "o.h5", *options) == 0
    printed = capsys.readouterr().err
    for line in (
        "5 proteins, ",
        "cleaned: 1 with * at the end.",
        "cleaned: 1 with lower case letters.",
        "cleaned: 1 with gaps.",
        "long: 1 of more than 20 residues: CUT, only the first 20 residues are read.",
        "ids: 1 are duplicates",
        "ids: 1 are empty",
        f"rejected: 1 of 6, listed with line and reason in {tmp_path / 'o.h5.rejects.tsv'}.",
    ):
        assert line in printed
    assert (
        printed.index("rejected:") < printed.index("embed:") < printed.index("embedded: 5 proteins")
    )
    assert (tmp_path / "o.h5.rejects.tsv").read_text().splitlines()[1].split("\t")[:2] == [
        "bad",
        "7",
    ]
    assert len(rows(tmp_path / "o.h5")[-1][2]) == 20


@pytest.mark.parametrize(
    ("policy", "message"), [("windows", "share at least 5"), ("whole", "read whole")]
)
def test_the_other_policies_are_reported_too(tmp_path, fasta, capsys, policy, message):
    fasta.write_text(">a\n" + "L" * 30)
    options = [
        "--max_residues",
        20,
        "--overlap",
        5,
        "--long_proteins",
        policy,
        "--include",
        "residues",
    ]
    assert run(FakeModel(), "--input", fasta, "--output", tmp_path / "o.h5", *options) == 0
    assert message in capsys.readouterr().err
    assert len(rows(tmp_path / "o.h5")[0][2]) == 30


def test_tables_lines_gzip_and_texts(tmp_path):
    (tmp_path / "t.tsv.gz").write_bytes(gzip.compress(b"Entry\tSequence\nP1\tMK\nP2\tAC\n"))
    assert run(FakeModel(), "--input", tmp_path / "t.tsv.gz", "--output", tmp_path / "t.h5") == 0
    assert [row[0] for row in rows(tmp_path / "t.h5")] == ["P1", "P2"]
    (tmp_path / "l.txt").write_text("mk\nac\n")
    options = ["--input", tmp_path / "l.txt", "--modality", "protein"]
    assert run(FakeModel(), *options, "--output", tmp_path / "l.parquet") == 0
    assert [row[:2] for row in rows(tmp_path / "l.parquet")] == [("1", 2), ("2", 2)]
    (tmp_path / "c.csv").write_text("n,s\nx,MK\n")
    columns = ["--column", "s", "--id_column", "n"]
    assert (
        run(FakeModel(), "--input", tmp_path / "c.csv", "--output", tmp_path / "c.h5", *columns)
        == 0
    )
    assert [row[0] for row in rows(tmp_path / "c.h5")] == ["x"]


def test_a_named_pipe_is_copied_and_read_twice(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_text, args=(FASTA,), daemon=True).start()
    assert run(FakeModel(), "--input", pipe, "--output", tmp_path / "o.h5") == 0
    assert [row[0] for row in rows(tmp_path / "o.h5")] == EXPECTED_NAMES


def test_stdin_is_copied_and_read_twice(tmp_path, fasta):
    saved = os.dup(0)
    try:
        with open(fasta) as file:
            os.dup2(file.fileno(), 0)
        assert run(FakeModel(), "--input", "-", "--output", tmp_path / "o.h5") == 0
    finally:
        os.dup2(saved, 0)
        os.close(saved)
    assert [row[0] for row in rows(tmp_path / "o.h5")] == EXPECTED_NAMES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "o.txt"], "must be named *.h5, *.hdf5, *.parquet"),
        (["--input", "none.fasta"], "none.fasta cannot be read"),
        (["--input", "x.xlsx"], "unknown format"),
        (["--modality", "text"], "FASTA contains proteins"),
        (["--column", "a"], "apply to tables"),
        (["--format", "csv"], "has no column sequence"),
        (["--batch_tokens", 0], "--batch_tokens=0"),
        (["--max_residues", 100], "overlap=256"),
        (
            ["--format", "lines", "--include", "residues"],
            "texts have no embeddings of kind residues, only projected and mean",
        ),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(
    tmp_path, fasta, monkeypatch, capsys, options, message
):
    monkeypatch.chdir(tmp_path)
    assert run(FakeModel(), "--input", fasta, "--output", "o.h5", *options) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x.fasta"]


@pytest.mark.parametrize(
    ("groups", "include", "message"),
    [
        (("protein",), ["projected"], "no protein_projection parameters, only protein"),
        (("text",), ["mean"], "no protein parameters, only text"),
        (("text",), [], "no protein parameters"),
    ],
)
def test_a_checkpoint_that_cannot_do_it_is_refused_before_the_input_is_read(
    tmp_path, fasta, capsys, groups, include, message
):
    options = ["--include", *include] if include else []
    assert (
        run(
            FakeModel(),
            "--input",
            "none.fasta",
            "--output",
            tmp_path / "o.h5",
            *options,
            groups=groups,
        )
        == 2
    )
    assert message in capsys.readouterr().err


def test_a_lone_protein_tower_gives_means(tmp_path, fasta, capsys):
    assert (
        run(FakeModel(), "--input", fasta, "--output", tmp_path / "o.h5", groups=("protein",)) == 0
    )
    assert len(rows(tmp_path / "o.h5")[0][2]) == 6
    assert "writing mean embeddings to" in capsys.readouterr().err


def test_what_exists_is_not_overwritten(tmp_path, fasta, capsys):
    (tmp_path / "o.mean.h5").write_text("mine")
    arguments = ["--input", fasta, "--output", tmp_path / "o.h5", "--include", "mean", "projected"]
    assert run(FakeModel(), *arguments) == 2
    assert "o.mean.h5 exists" in capsys.readouterr().err
    assert (tmp_path / "o.mean.h5").read_text() == "mine"
    assert not (tmp_path / "o.h5.partial").exists()


def stopped_after(parts):
    """A model that fails when it is asked for another part."""
    model = FakeModel()
    whole = model.represent

    def represent(*args, **kwargs):
        if len(model.calls) == parts:
            raise MemoryError
        return whole(*args, **kwargs)

    model.represent = represent
    return model


def test_a_stopped_run_goes_on_where_it_was(tmp_path, fasta, capsys):
    arguments = ["--input", fasta, "--output", tmp_path / "o.h5"]
    with pytest.raises(MemoryError):
        run(stopped_after(2), *arguments, chunk_tokens=1)
    model = FakeModel()
    assert run(model, *arguments, chunk_tokens=1) == 0
    assert "resuming: 2 finished parts" in capsys.readouterr().err
    assert [call["sequences"] for call in model.calls] == [["WWWW"], ["MKVACD"]]
    assert [row[0] for row in rows(tmp_path / "o.h5")] == EXPECTED_NAMES
    assert not (tmp_path / "o.h5.partial").exists()


def test_parts_of_a_changed_input_are_not_used(tmp_path, fasta):
    arguments = ["--input", fasta, "--output", tmp_path / "o.h5"]
    with pytest.raises(MemoryError):
        run(stopped_after(3), *arguments, chunk_tokens=1)
    fasta.write_text(FASTA.replace("acd", "acw"))
    model = FakeModel()
    assert run(model, *arguments, chunk_tokens=1) == 0
    assert [call["sequences"] for call in model.calls] == [["ACW"], ["MKVACD"]]
    np.testing.assert_array_equal(
        np.float32(rows(tmp_path / "o.h5")[1][2]), vectors("ACW", "projected")
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--precision", "float16"], "precision"),
        (["--include", "mean"], "kinds"),
        (["--overlap", 9], "overlap"),
    ],
)
def test_parts_of_another_plan_are_refused(tmp_path, fasta, capsys, options, message):
    arguments = ["--input", fasta, "--output", tmp_path / "o.h5"]
    with pytest.raises(MemoryError):
        run(stopped_after(1), *arguments, chunk_tokens=1)
    assert run(FakeModel(), *arguments, *options, chunk_tokens=1) == 2
    assert f"parts of a run with other settings ({message})" in capsys.readouterr().err
    assert run(FakeModel(), *arguments, chunk_tokens=1) == 0


def test_a_damaged_part_is_named(tmp_path, fasta, capsys):
    arguments = ["--input", fasta, "--output", tmp_path / "o.h5"]
    with pytest.raises(MemoryError):
        run(stopped_after(2), *arguments, chunk_tokens=1)
    part = sorted((tmp_path / "o.h5.partial").glob("*.npz"))[1]
    part.write_bytes(part.read_bytes()[:-40])
    assert run(FakeModel(), *arguments, chunk_tokens=1) == 2
    assert f"{part} is damaged" in capsys.readouterr().err
    part.unlink()
    assert run(FakeModel(), *arguments, chunk_tokens=1) == 0


def test_two_runs_on_one_output_do_not_meet(tmp_path, fasta, capsys):
    arguments = ["--input", fasta, "--output", tmp_path / "o.h5"]
    model, codes = FakeModel(), []
    whole = model.represent

    def represent(*args, **kwargs):
        codes.append(run(FakeModel(), *arguments))
        return whole(*args, **kwargs)

    model.represent = represent
    assert run(model, *arguments) == 0
    assert codes == [2]
    assert "is being written by another run" in capsys.readouterr().err


def test_an_input_that_grows_between_the_passes_is_reported(tmp_path, fasta, capsys):
    model = FakeModel()
    survey = parts.take_survey

    def grown(*args, **kwargs):
        taken = survey(*args, **kwargs)
        fasta.write_text(FASTA + ">more\nMK\n")
        return taken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "take_survey", grown)
        assert run(model, "--input", fasta, "--output", tmp_path / "o.h5") == 2
    assert "changed while it was being read" in capsys.readouterr().err
    assert not (tmp_path / "o.h5").exists()


@pytest.mark.parametrize(
    ("suffix", "room"), [("h5", 100), ("h5", 3000), ("parquet", 3000), ("h5", 30000)]
)
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_later(tmp_path, capsys, suffix, room):
    fasta = tmp_path / "x.fasta"
    fasta.write_text("".join(f">{name}\n{'MKVL' * 20}\n" for name in range(40)))
    arguments = ["--input", fasta, "--output", tmp_path / f"o.{suffix}", "--include", "residues"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        code = run(FakeModel(), *arguments, chunk_tokens=80)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert code == 1
    assert run(FakeModel(), *arguments, chunk_tokens=80) == 0
    printed = capsys.readouterr().err
    assert "cannot be written (File too large); free some space" in printed
    assert "finished parts are kept" in printed
    assert "Traceback" not in printed
    assert len(rows(tmp_path / f"o.{suffix}")) == 40


def test_a_line_of_a_megabyte_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(numbered_lines, "_CHUNK_BYTES", 1 << 16)
    fasta = tmp_path / "x.fa"
    fasta.write_text(">a\n" + "A" * 1_000_000 + "\n>b " + "x" * 1_000_000 + "\nMK\n")
    assert run(FakeModel(), "--input", fasta, "--output", tmp_path / "o.parquet") == 0
    assert [row[:2] for row in rows(tmp_path / "o.parquet")] == [("a", 1_000_000), ("b", 2)]


@pytest.fixture
def stored_width(monkeypatch):
    """The checkpoint's config says the width of the fake's embeddings."""
    config = {"model": {"projection_dim": 4}, "loss": {"matryoshka": 0.0}}
    monkeypatch.setattr(embed.metadata, "read_model_config", lambda folder: config)
    return config


@pytest.mark.parametrize("suffix", ["h5", "parquet"])
def test_the_first_dimensions_are_kept_with_unit_norm(
    tmp_path, fasta, stored_width, capsys, suffix
):
    output = tmp_path / f"o.{suffix}"
    assert run(FakeModel(), "--input", fasta, "--output", output, "--dimensions", 3) == 0
    assert "trained without loss.matryoshka" in capsys.readouterr().err
    facts, found = content(output)
    assert int(facts["dimensions"]) == 3
    for (_, _, vector), (_, sequence) in zip(found, EXPECTED, strict=True):
        kept = vectors(sequence, "projected").astype(float)[:3]
        np.testing.assert_allclose(vector, kept / np.linalg.norm(kept), rtol=1e-6)
    stored_width["loss"]["matryoshka"] = 0.5
    assert (
        run(FakeModel(), "--input", fasta, "--output", tmp_path / "again.h5", "--dimensions", 4)
        == 0
    )
    assert "matryoshka" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--dimensions", 0], "dimensions=0 must be from 1 to 4"),
        (["--dimensions", 5], "dimensions=5 must be from 1 to 4"),
        (["--dimensions", 3, "--include", "mean", "projected"], "omit --include mean"),
    ],
)
def test_dimensions_that_cannot_be_kept_are_one_sentence(
    tmp_path, fasta, stored_width, capsys, options, sentence
):
    assert run(FakeModel(), "--input", fasta, "--output", tmp_path / "o.h5", *options) == 2
    assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x.fasta"]


def test_hash_keys_are_what_biotrainer_looks_up(tmp_path, fasta):
    output = tmp_path / "o.h5"
    fasta.write_text(FASTA + ">twin\nMKV\nAC-D\n")
    assert run(FakeModel(), "--input", fasta, "--output", output, "--h5_keys", "hash") == 0
    # biotrainer reads FASTA itself, and changes nothing of the sequences.
    written = {"a": "MKVLK*", "a_2": "acd", "sequence_3": "WWWW", "b": "MKVAC-D"}
    with h5py.File(output) as file:
        for id, sequence in written.items():
            key = hashlib.sha256(f"{sequence}_{len(sequence)}".encode()).hexdigest()
            assert file[key].attrs["original_id"] == id
        assert file[f"{key}_2"].attrs["original_id"] == "twin"
        assert len(file) == 5


def test_keys_of_a_file_that_has_none_are_refused_before_anything_is_read(tmp_path, fasta, capsys):
    assert (
        run(FakeModel(), "--input", fasta, "--output", tmp_path / "o.parquet", "--h5_keys", "id")
        == 2
    )
    assert "--h5_keys applies only to HDF5 files" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x.fasta"]

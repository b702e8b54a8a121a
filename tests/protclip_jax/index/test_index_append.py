"""Adding to an index: what it then holds, what is refused, and runs that are stopped before or
while they finish."""

import shutil

import numpy as np
import pytest

from protclip_jax.embed import __main__ as embed
from protclip_jax.embed import embedding_files
from protclip_jax.index import __main__ as index
from protclip_jax.retrieval import indexing
from protclip_jax.retrieval.index_folder import open_index
from tests.support import searching, tiny


def interrupted(*arguments):
    raise KeyboardInterrupt


def test_adding_to_an_index_gives_that_of_all_at_once(indexed, tmp_path):
    first = searching.write_fasta(tmp_path / "first.fasta", indexed.records[:25])
    second = searching.write_fasta(tmp_path / "x.fasta.gz", indexed.records[25:])
    assert searching.make_index(indexed.checkpoint, tmp_path / "i", input=first) == 0
    before = open_index(tmp_path / "i")
    assert searching.make_index(indexed.checkpoint, tmp_path / "i", input=second, append=True) == 0
    after, whole = open_index(tmp_path / "i"), open_index(indexed.folder)
    assert after.items["id"].to_pylist() == whole.items["id"].to_pylist()
    np.testing.assert_allclose(
        after.vectors.take(np.arange(40)), whole.vectors.take(np.arange(40)), atol=1e-5
    )
    np.testing.assert_allclose(after.background, whole.background, atol=1e-5)
    names = {path.name for path in (tmp_path / "i").iterdir()}
    assert names == {*after.manifest["files"], "manifest.json"}
    assert len(names) == 7
    # Whoever has the old index open goes on with it.
    assert len(before) == 25
    assert np.isfinite(before.vectors.take(np.arange(25))).all()
    assert before.search(before.vectors.take(np.array([3])), 1).rows[0, 0] == 3


def test_what_cannot_be_added_is_reported_and_changes_nothing(indexed, tmp_path, capsys):
    copied = shutil.copytree(indexed.folder, tmp_path / "i")
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    twice = searching.write_fasta(
        tmp_path / "twice.fasta", indexed.records[:2] + tiny.records(3, seed=77)
    )
    assert searching.make_index(indexed.checkpoint, copied, input=twice, append=True) == 2
    assert "2 of the 5 ids" in searching.printed(capsys)
    new = searching.write_fasta(tmp_path / "new.fasta", tiny.records(3, seed=78))
    assert (
        searching.make_index(
            indexed.checkpoint, copied, input=new, append=True, long_proteins="truncate"
        )
        == 2
    )
    assert "pass --long_proteins windows" in searching.printed(capsys)
    assert searching.make_index(indexed.checkpoint, copied, input=new) == 2
    assert "add to it with --append" in searching.printed(capsys)
    assert searching.make_index(indexed.checkpoint, tmp_path / "none", input=new, append=True) == 2
    assert "does not exist" in searching.printed(capsys)
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before


def test_a_build_that_dies_before_the_manifest_leaves_the_old_index(indexed, tmp_path, monkeypatch):
    folder = shutil.copytree(indexed.folder, tmp_path / "i")
    new = searching.write_fasta(tmp_path / "new.fasta", tiny.records(3, seed=79))

    monkeypatch.setattr(indexing, "publish", interrupted)
    assert searching.make_index(indexed.checkpoint, folder, input=new, append=True) == 130
    assert len(open_index(folder)) == 40
    monkeypatch.undo()
    assert searching.make_index(indexed.checkpoint, folder, input=new, append=True) == 0
    assert len(open_index(folder)) == 43
    assert not (tmp_path / "i.partial").exists()


def test_an_addition_that_dies_after_the_manifest_is_finished_by_the_same_line(
    indexed, tmp_path, monkeypatch, capsys
):
    folder = shutil.copytree(indexed.folder, tmp_path / "i")
    new = searching.write_fasta(tmp_path / "new.fasta", tiny.records(3, seed=80))

    monkeypatch.setattr(index, "remove_parts", interrupted)
    assert searching.make_index(indexed.checkpoint, folder, input=new, append=True) == 130
    monkeypatch.undo()
    assert len(open_index(folder)) == 43
    assert searching.make_index(indexed.checkpoint, folder, input=new, append=True) == 0
    assert "already contains all of them" in capsys.readouterr().err
    assert len(open_index(folder)) == 43
    assert not (tmp_path / "i.partial").exists()


def test_an_addition_with_repeated_and_rejected_proteins_is_finished_too(
    indexed, tmp_path, monkeypatch, capsys
):
    folder = shutil.copytree(indexed.folder, tmp_path / "i")
    (tmp_path / "new.fasta").write_text(">x\nMKTAYI\n>bad\nMK1\n>x\nMKTAYIAK\n")
    monkeypatch.setattr(index, "remove_parts", interrupted)
    assert (
        searching.make_index(indexed.checkpoint, folder, input=tmp_path / "new.fasta", append=True)
        == 130
    )
    monkeypatch.undo()
    assert (
        searching.make_index(indexed.checkpoint, folder, input=tmp_path / "new.fasta", append=True)
        == 0
    )
    assert "already contains all of them" in capsys.readouterr().err
    assert open_index(folder).items["id"].to_pylist()[40:] == ["x", "x_2"]
    assert not (tmp_path / "i.partial").exists()


@pytest.mark.parametrize("repeated", [1, 2])
def test_known_proteins_are_not_taken_for_an_addition_that_was_stopped(
    indexed, tmp_path, monkeypatch, capsys, repeated
):
    folder = shutil.copytree(indexed.folder, tmp_path / "i")
    new = searching.write_fasta(tmp_path / "new.fasta", tiny.records(3, seed=81))
    monkeypatch.setattr(indexing, "publish", interrupted)
    assert searching.make_index(indexed.checkpoint, folder, input=new, append=True) == 130
    monkeypatch.undo()
    kept = sorted(path.name for path in (tmp_path / "i.partial").glob("*.npz"))
    known = searching.write_fasta(tmp_path / "known.fasta", indexed.records[:1] * repeated)
    assert searching.make_index(indexed.checkpoint, folder, input=known, append=True) == 2
    assert f"1 of the {repeated} ids" in searching.printed(capsys)
    assert sorted(path.name for path in (tmp_path / "i.partial").glob("*.npz")) == kept
    assert searching.make_index(indexed.checkpoint, folder, input=new, append=True) == 0
    assert len(open_index(folder)) == 43


def test_other_proteins_are_added_after_an_addition_that_was_stopped_while_finishing(
    indexed, tmp_path, monkeypatch
):
    folder = shutil.copytree(indexed.folder, tmp_path / "i")
    inputs = [
        searching.write_fasta(tmp_path / f"{seed}.fasta", tiny.records(3, seed=seed))
        for seed in (82, 83)
    ]
    monkeypatch.setattr(index, "remove_parts", interrupted)
    assert searching.make_index(indexed.checkpoint, folder, input=inputs[0], append=True) == 130
    monkeypatch.undo()
    assert searching.make_index(indexed.checkpoint, folder, input=inputs[1], append=True) == 0
    assert len(open_index(folder)) == 46
    assert not (tmp_path / "i.partial").exists()


def test_ids_are_compared_with_the_index_as_they_will_be_in_it(indexed, tmp_path, capsys):
    (tmp_path / "first.fasta").write_text(">x_2\nMKTAYI\n>y\nMKTAY\n")
    (tmp_path / "second.fasta").write_text(">x\nMKTAYI\n>y\nMK1\n>x\nMKTAYIAK\n")
    (tmp_path / "third.fasta").write_text(">x\nMKTAYI\n>y\nMK1\n")
    assert (
        searching.make_index(indexed.checkpoint, tmp_path / "i", input=tmp_path / "first.fasta")
        == 0
    )
    assert (
        searching.make_index(
            indexed.checkpoint, tmp_path / "i", input=tmp_path / "second.fasta", append=True
        )
        == 2
    )
    assert "1 of the 2 ids" in searching.printed(capsys), "the second x would be another x_2"
    assert (
        searching.make_index(
            indexed.checkpoint, tmp_path / "i", input=tmp_path / "third.fasta", append=True
        )
        == 0
    )
    assert open_index(tmp_path / "i").items["id"].to_pylist() == ["x_2", "y", "x"]


def test_proteins_are_not_added_to_labels(indexed, tmp_path, capsys):
    (tmp_path / "x.tsv").write_text(searching.LABELS)
    assert searching.make_index(indexed.checkpoint, tmp_path / "i", labels=tmp_path / "x.tsv") == 0
    fasta = searching.write_fasta(tmp_path / "x.fasta", indexed.records[:2])
    embeddings = tmp_path / "x.h5"
    assert (
        embed.main(
            [
                "--checkpoint",
                str(indexed.checkpoint),
                "--input",
                str(fasta),
                "--output",
                str(embeddings),
            ]
        )
        == 0
    )
    for given in (fasta, embeddings):
        assert (
            searching.make_index(indexed.checkpoint, tmp_path / "i", input=given, append=True) == 2
        )
        assert (
            "is an index of labels, but proteins can only be added to an index of proteins"
            in searching.printed(capsys)
        )


def test_the_list_of_what_was_rejected_outlives_later_additions(indexed, tmp_path, capsys):
    inputs = {
        "first": ">a\nMKTAYI\n>bad1\nMK1\n",
        "second": ">b\nMKTAY\n",
        "third": ">c\nMKTA\n>bad3\nMK1\n",
    }
    for number, (name, text) in enumerate(inputs.items()):
        (tmp_path / f"{name}.fasta").write_text(text)
        options = {"append": True} if number else {}
        assert (
            searching.make_index(
                indexed.checkpoint, tmp_path / "i", input=tmp_path / f"{name}.fasta", **options
            )
            == 0
        )
    assert "bad1" in (tmp_path / "i.rejects.tsv").read_text()
    assert "bad3" in (tmp_path / "i.2.rejects.tsv").read_text()
    assert "i.2.rejects.tsv" in capsys.readouterr().err
    assert not (tmp_path / "i.1.rejects.tsv").exists()


def test_embeddings_of_another_width_are_not_added(indexed, tmp_path, capsys):
    opened = open_index(indexed.folder)
    folder = shutil.copytree(indexed.folder, tmp_path / "i")
    part = embedding_files.Part(["p"], np.array([3]), np.eye(1, 4, dtype=np.float32))
    facts = opened.manifest["encoding"] | {
        "checkpoint": opened.manifest["checkpoint"],
        "kind": "projected",
    }
    embedding_files.write_parquet(
        tmp_path / "e.parquet", [part], facts=facts | {"modality": "protein"}
    )
    assert (
        index.main(["--input", str(tmp_path / "e.parquet"), "--output", str(folder), "--append"])
        == 2
    )
    assert "e.parquet has embeddings of width 4, but those of" in searching.printed(capsys)
    assert len(open_index(folder)) == 40


def test_a_new_index_is_made_where_a_run_was_killed_while_it_wrote_the_manifest(
    indexed, tmp_path, monkeypatch
):
    fasta = searching.write_fasta(tmp_path / "x.fasta", indexed.records[:2])
    monkeypatch.setattr(indexing, "publish", interrupted)
    assert searching.make_index(indexed.checkpoint, tmp_path / "i", input=fasta) == 130
    monkeypatch.undo()
    (tmp_path / "i" / "manifest.json.writing").write_text("{")
    assert (tmp_path / "i" / "vectors-000000.npy").exists()
    assert searching.make_index(indexed.checkpoint, tmp_path / "i", input=fasta) == 0
    assert len(open_index(tmp_path / "i")) == 2
    assert not list((tmp_path / "i").glob("*.writing"))


@pytest.mark.parametrize("name", ["vectors-000000.npy", "vectors-1.npy", "manifest.json.writing"])
def test_files_that_look_like_an_indexs_are_the_users_where_no_run_was_killed(
    indexed, tmp_path, capsys, name
):
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / name).write_text("mine")
    fasta = searching.write_fasta(tmp_path / "x.fasta", indexed.records[:2])
    assert searching.make_index(indexed.checkpoint, tmp_path / "i", input=fasta) == 2
    assert "i exists" in searching.printed(capsys)
    assert [path.name for path in (tmp_path / "i").iterdir()] == [name]
    assert not (tmp_path / "i.partial").exists()


def test_an_addition_keeps_what_is_not_of_the_index(indexed, tmp_path):
    folder = shutil.copytree(indexed.folder, tmp_path / "i")
    (folder / "vectors-1.npy").write_text("mine")
    new = searching.write_fasta(tmp_path / "new.fasta", tiny.records(3, seed=80))
    assert searching.make_index(indexed.checkpoint, folder, input=new, append=True) == 0
    assert (folder / "vectors-1.npy").read_text() == "mine"

"""The index command and its folders: what they hold, what is refused, and what damage does."""

import json
import shutil

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.dataset import open_dataset
from data_pipelines.protanno.record import biotext
from protclip_jax import ProtCLIP
from protclip_jax.embed import __main__ as embed
from protclip_jax.embed import embedding_files
from protclip_jax.index import __main__ as index
from protclip_jax.retrieval import embedding_input, faiss_library, index_folder, indexing, nearest
from protclip_jax.retrieval.index_folder import open_index
from protclip_jax.retrieval.item_table import (
    SCHEMAS,
    item_at,
    item_biotext,
    label_item,
    protein_item,
    record_batch,
    row_of,
)
from protclip_jax.retrieval.nearest import unit_rows
from protclip_jax.retrieval.vector_parts import VectorParts
from tests.support import searching, tiny


@pytest.fixture(scope="module")
def model(indexed):
    return ProtCLIP.load(indexed.checkpoint)


def test_an_index_holds_the_models_vectors_and_the_proteins(indexed, model):
    opened = open_index(indexed.folder)
    assert (len(opened), opened.kind) == (40, "exact")
    expected = model.encode_proteins([record.sequence for record in indexed.records])
    np.testing.assert_allclose(opened.vectors.take(np.arange(40)), expected, atol=1e-5)
    item = item_at(opened.items, 7)
    record = indexed.records[7]
    assert (item["id"], item["name"], item["length"]) == (
        record.accession,
        record.name,
        len(record.sequence),
    )
    assert (item["source"], item["sequence"]) == ("x.fasta.gz", record.sequence)
    assert opened.manifest["checkpoint"] == model.fingerprint
    assert row_of(opened.items, record.accession) == 7
    assert row_of(opened.items, "nobody") is None
    assert isinstance(opened.vectors.parts[0], np.memmap)
    found = opened.search(expected[:3], 5)
    assert found.rows[:, 0].tolist() == [0, 1, 2]


def test_a_dataset_keeps_what_uniprot_says(indexed, sample_dataset, tmp_path):
    options = {"input": sample_dataset / "protanno", "splits": ["test"]}
    assert searching.make_index(indexed.checkpoint, tmp_path / "i", **options) == 0
    opened = open_index(tmp_path / "i")
    test = open_dataset(sample_dataset / "protanno").splits["test"]
    assert len(opened) == len(test)
    record = next(record for record in test if record.features and record.function)
    item = item_at(opened.items, row_of(opened.items, record.accession))
    assert item_biotext(item) == biotext(record)
    features = [(f.type, f.start, f.end, f.note) for f in record.features]
    assert [(f["type"], f["start"], f["end"], f["note"]) for f in item["features"]] == features
    assert item["source"] == record.source


def test_embedding_files_become_the_same_index(indexed, tmp_path, capsys):
    fasta = searching.write_fasta(tmp_path / "x.fasta", indexed.records)
    for suffix, precision in (("parquet", "float32"), ("h5", "float16")):
        output = tmp_path / f"e.{suffix}"
        given = [
            "--checkpoint",
            indexed.checkpoint,
            "--input",
            fasta,
            "--output",
            output,
            "--precision",
            precision,
        ]
        assert embed.main(list(map(str, given))) == 0
        assert indexing_from(output, tmp_path / suffix) == 0
        opened, whole = open_index(tmp_path / suffix), open_index(indexed.folder)
        np.testing.assert_allclose(
            opened.vectors.take(np.arange(40)),
            whole.vectors.take(np.arange(40)),
            atol=1e-5 if suffix == "parquet" else 2e-3,
        )
        norms = np.linalg.norm(opened.vectors.take(np.arange(40)).astype(float), axis=1)
        np.testing.assert_allclose(norms, 1, atol=1e-6)
        assert opened.items["id"].to_pylist() == whole.items["id"].to_pylist()
        assert opened.manifest["checkpoint"] == whole.manifest["checkpoint"]
    means = tmp_path / "m.parquet"
    given = [
        "--checkpoint",
        indexed.checkpoint,
        "--input",
        fasta,
        "--output",
        means,
        "--include",
        "mean",
    ]
    assert embed.main(list(map(str, given))) == 0
    assert indexing_from(means, tmp_path / "m") == 2
    assert "mean embeddings of proteins" in searching.printed(capsys)
    (tmp_path / "bad.parquet").write_bytes(means.read_bytes()[:300])
    assert indexing_from(tmp_path / "bad.parquet", tmp_path / "b") == 2
    assert "not a valid embedding file" in searching.printed(capsys)


def test_an_embedding_file_of_another_form_is_one_sentence(tmp_path, capsys):
    facts = {
        "checkpoint": "f",
        "kind": "projected",
        "modality": "protein",
        "dtype": "float32",
        "long_proteins": "windows",
    }
    for changed, vector, sentence in [
        ({"max_residues": "many"}, np.ones(4, np.float32), "no number for max_residues"),
        ({}, np.float32(1), "not a valid embedding file"),
    ]:
        with h5py.File(tmp_path / "e.h5", "w") as file:
            file.attrs.update(facts | {"max_residues": "1022", "overlap": "256"} | changed)
            file.create_dataset("0", data=vector).attrs["original_id"] = "p"
        assert indexing_from(tmp_path / "e.h5", tmp_path / "i") == 2
        assert sentence in searching.printed(capsys)


def test_options_that_cannot_change_an_embedding_file_are_refused(tmp_path, capsys):
    asked = [
        "--input",
        str(tmp_path / "e.h5"),
        "--output",
        str(tmp_path / "i"),
        "--dtype",
        "bfloat16",
        "--overlap",
        "3",
    ]
    assert index.main(asked) == 2
    assert (
        "e.h5 already contains embeddings, which --overlap and --dtype cannot change"
        in searching.printed(capsys)
    )


def test_an_embedding_file_with_other_ids_or_widths_is_refused(tmp_path, monkeypatch, capsys):
    facts = {
        "checkpoint": "f",
        "kind": "projected",
        "modality": "protein",
        "dtype": "float32",
        "long_proteins": "windows",
    }
    facts |= {"max_residues": "1022", "overlap": "256"}
    embedding = pyarrow.FixedSizeListArray.from_arrays(np.ones(8, np.float32), 4)
    for ids in (["a", None], [1, 2]):
        table = pyarrow.table(
            {"id": ids, "length": [1, 2], "embedding": embedding}, metadata=facts | {"width": "4"}
        )
        pyarrow.parquet.write_table(table, tmp_path / "e.parquet", use_dictionary=False)
        assert indexing_from(tmp_path / "e.parquet", tmp_path / "i") == 2
        assert "an id that is not text" in searching.printed(capsys)
    monkeypatch.setattr(embedding_input, "ROWS_AT_ONCE", 1)
    with h5py.File(tmp_path / "e.h5", "w") as file:
        file.attrs.update(facts)
        file["0"], file["1"] = np.ones(4, np.float32), np.ones(3, np.float32)
    assert indexing_from(tmp_path / "e.h5", tmp_path / "i") == 2
    assert "not a valid embedding file" in searching.printed(capsys)


def test_the_case_of_an_embedding_files_name_does_not_matter(indexed, tmp_path):
    fasta = searching.write_fasta(tmp_path / "x.fasta", indexed.records[:2])
    given = [
        "--checkpoint",
        indexed.checkpoint,
        "--input",
        fasta,
        "--output",
        tmp_path / "e.parquet",
    ]
    assert embed.main(list(map(str, given))) == 0
    assert (
        indexing_from((tmp_path / "e.parquet").rename(tmp_path / "E.PARQUET"), tmp_path / "i") == 0
    )


@pytest.mark.parametrize("suffix", ["h5", "parquet"])
def test_an_embedding_file_with_an_id_twice_is_refused(tmp_path, capsys, suffix):
    facts = {
        "checkpoint": "f",
        "kind": "projected",
        "modality": "protein",
        "dtype": "float32",
        "long_proteins": "windows",
    }
    part = embedding_files.Part(
        ["a", "b", "a"], np.array([1, 2, 3]), np.eye(3, 4, dtype=np.float32)
    )
    write = embedding_files.WRITERS[f".{suffix}"]
    write(
        tmp_path / f"e.{suffix}", [part], facts=facts | {"max_residues": "1022", "overlap": "256"}
    )
    assert indexing_from(tmp_path / f"e.{suffix}", tmp_path / "i") == 2
    assert "the id a more than once" in searching.printed(capsys)
    assert not (tmp_path / "i").exists()


def indexing_from(embeddings, output):
    return index.main(["--input", str(embeddings), "--output", str(output)])


def test_labels_are_means_of_their_prompts(indexed, model, tmp_path, capsys):
    (tmp_path / "x.tsv").write_text(searching.LABELS + "none\t\t\n")
    assert searching.make_index(indexed.checkpoint, tmp_path / "i", labels=tmp_path / "x.tsv") == 0
    opened = open_index(tmp_path / "i")
    assert opened.manifest["modality"] == "label"
    assert opened.items["id"].to_pylist() == ["cut", "bind", "out"]
    prompts = [item_at(opened.items, row)["prompts"] for row in range(3)]
    assert prompts[2] == ["SUBCELLULAR LOCATION: bad."]
    for row, texts in enumerate(prompts):
        mean = model.encode_texts(texts).astype(float).mean(0)
        np.testing.assert_allclose(
            opened.vectors.take(np.array([row]))[0], mean / np.linalg.norm(mean), atol=1e-5
        )
    assert "its texts are empty" in (tmp_path / "i.rejects.tsv").read_text()


@pytest.fixture(scope="module")
def approximate(tmp_path_factory):
    """An approximate index of vectors without a model, made in two steps."""
    rng = np.random.default_rng(0)
    vectors = unit_rows(rng.normal(size=(7_000, 16)))
    folder = tmp_path_factory.mktemp("approximate")
    facts = {"modality": "protein", "checkpoint": "f" * 64, "step": None, "encoding": {}}
    previous = None

    def decoys(sequences):
        return unit_rows(rng.normal(size=(len(sequences), 16)))

    for rows in (np.arange(6_000), np.arange(6_000, 7_000)):
        items = [protein_item(f"p{row}", source="x", sequence="MKVL") for row in rows]
        blocks = iter([(vectors[rows], items)])
        addition = indexing.Addition(len(rows), 16, blocks)
        options = {
            "kind": "approximate",
            "target": 0.9,
            "encode_texts": None,
            "log": lambda *lines: None,
        }
        indexing.add(
            folder, addition, previous=previous, facts=facts, encode_decoys=decoys, **options
        )
        previous = open_index(folder)
    return folder, vectors


def test_an_approximate_index_states_the_recall_that_it_has(approximate):
    folder, vectors = approximate
    opened = open_index(folder)
    assert (len(opened), opened.kind) == (7_000, "approximate")
    stated = opened.manifest["approximate"]
    assert stated["recall"]["items"] >= 0.9
    rows = nearest.sample_rows(7_000, indexing.ITEM_QUERIES)
    found = opened.search(vectors[rows], 11)
    hits = 0
    for row, others in zip(rows, found.rows, strict=True):
        truth = [
            other for other in searching.reference_order(vectors, vectors[row])[:12] if other != row
        ][:10]
        hits += len(set(truth) & set(others.tolist()))
    assert abs(hits / (10 * len(rows)) - stated["recall"]["items"]) < 0.01
    # Those that were added later are found as well.
    assert opened.search(vectors[6_500:6_501], 1).rows[0, 0] == 6_500
    assert {name.split("-")[0] for name in opened.manifest["files"]} == {
        "vectors",
        "items",
        "background",
        "decoys",
        "approximate",
    }


def damaged(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    return bytes(content)


@pytest.mark.parametrize("what", ["vectors", "items", "background", "decoys", "approximate"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "gone"])
def test_damage_is_one_sentence_that_names_the_file(approximate, tmp_path, what, damage):
    folder = shutil.copytree(approximate[0], tmp_path / "i")
    path = sorted(folder.glob(f"{what}-*"))[-1]
    contents = {"flipped": damaged(path), "cut": path.read_bytes()[:-100], "empty": b""}
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(contents[damage])
    with pytest.raises(UserError, match=path.name):
        open_index(folder)


def test_text_that_is_no_unicode_is_kept_with_question_marks():
    item = protein_item("a", name="\ud800", source="x") | {
        "features": [{"type": "SITE", "start": 1, "end": 2, "note": "\ud800b"}]
    }
    (kept,) = record_batch([item], SCHEMAS["protein"]).to_pylist()
    assert (kept["name"], kept["features"][0]["note"]) == ("?", "?b")
    (kept,) = record_batch(
        [label_item("a", name="b", source="x", prompts=["\ud800"])], SCHEMAS["label"]
    ).to_pylist()
    assert kept["prompts"] == ["?"]


MANIFESTS = {
    "of a newer format": lambda m: m.update(format_version=99),
    "without parts": lambda m: m.update(parts=[]),
    "without a field": lambda m: m.pop("count"),
    "of another type": lambda m: m.update(files=[]),
    "that leads elsewhere": lambda m: m["files"].update({"../x.npy": {"bytes": 1, "sha256": "0"}}),
    "with another count": lambda m: m.update(count=3),
    "with a file unlisted": lambda m: m["files"].clear(),
    "without a size": lambda m: m["files"].update({next(iter(m["files"])): {}}),
    "with a part that is none": lambda m: m["parts"].append(3),
    "with a file's name that is none": lambda m: m["parts"][0].update(items=[]),
    "with an approximate that is none": lambda m: m.update(approximate="yes"),
    "of another modality": lambda m: m.update(modality="galaxy"),
}


@pytest.mark.parametrize("change", MANIFESTS)
def test_a_changed_manifest_is_one_sentence(indexed, tmp_path, change):
    folder = shutil.copytree(indexed.folder, tmp_path / "i")
    manifest = json.loads((folder / "manifest.json").read_text())
    MANIFESTS[change](manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="protclip_jax.index"):
        open_index(folder)


def test_files_of_other_kinds_with_a_right_sum_are_refused(indexed, tmp_path):
    folder = shutil.copytree(indexed.folder, tmp_path / "i")
    manifest = json.loads((folder / "manifest.json").read_text())
    name = manifest["parts"][0]["vectors"]
    np.save(folder / name, np.array([{"a": 1}], object), allow_pickle=True)
    manifest["files"][name] = index_folder._facts(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="cannot be read"):
        open_index(folder)


def test_parts_of_several_widths_are_refused(indexed, tmp_path):
    folder = shutil.copytree(indexed.folder, tmp_path / "i")
    manifest = json.loads((folder / "manifest.json").read_text())
    part = manifest["parts"][0]
    np.save(folder / "vectors-9.npy", np.ones((40, 8), np.float32))
    manifest["files"]["vectors-9.npy"] = index_folder._facts(folder / "vectors-9.npy")
    manifest["parts"].append(part | {"vectors": "vectors-9.npy"})
    manifest["count"] = 80
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"vectors of widths 8 and 16"):
        open_index(folder)


def test_an_approximate_index_of_another_width_is_refused(approximate, tmp_path):
    folder = shutil.copytree(approximate[0], tmp_path / "i")
    manifest = json.loads((folder / "manifest.json").read_text())
    name = manifest["approximate"]["file"]
    narrow = VectorParts([unit_rows(np.random.default_rng(1).normal(size=(7_000, 8)))])
    faiss_library.load_faiss().write_index(nearest.build_approximate(narrow), str(folder / name))
    manifest["files"][name] = index_folder._facts(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        UserError, match=f"{name} contains 7000 vectors of width 8, not 7000 of width 16"
    ):
        open_index(folder)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"input": "absent.fasta"}, "cannot be read"),
        ({"input": "x.xyz"}, "pass --format"),
        ({"input": "x.fasta", "splits": ["test"]}, "--splits applies only to a ProtAnno folder"),
        ({"input": "x.fasta", "columns": ["a"]}, "--columns only applies to --labels"),
        ({"input": "x.fasta", "column": "a"}, "apply to tables"),
        ({"input": "x.h5.gz"}, "pass --format"),
        ({"labels": "x.tsv", "splits": ["test"]}, "--splits only applies to --input"),
        (
            {"labels": "x.tsv", "column": "a", "format": "tsv"},
            "--format and --column only apply to --input",
        ),
        ({"input": "x.fasta", "recall": "2"}, "must be above 0"),
        ({"input": "x.fasta", "kind": "approximate"}, "at least 5,000 vectors"),
    ],
)
def test_mistakes_are_one_sentence(indexed, tmp_path, monkeypatch, capsys, options, sentence):
    monkeypatch.chdir(tmp_path)
    searching.write_fasta(tmp_path / "x.fasta", tiny.records(2))
    assert searching.make_index(indexed.checkpoint, tmp_path / "i", **options) == 2
    assert sentence in searching.printed(capsys)

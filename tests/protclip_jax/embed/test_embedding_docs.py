"""The lines of Python in docs/embeddings.md, on files that the commands write."""

import csv
import re

import numpy as np

from protclip_jax.embed.h5_keys import H5_KEYS
from tests.support.fake_embedder import FakeModel, run, vectors
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/embeddings.md").read_text(encoding="utf-8")
LINES = [
    line
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
PROTEINS = {"a": "MKVLK", 'b,"é': "M" * 9, "c": "WWWW"}


def test_each_line_gives_what_was_embedded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.fasta").write_text("".join(f">{id}\n{text}\n" for id, text in PROTEINS.items()))
    cut = [
        "--include",
        "residues",
        "--long_proteins",
        "truncate",
        "--max_residues",
        6,
        "--overlap",
        1,
    ]
    for output, options in [("x.parquet", []), ("x.h5", []), ("residues.parquet", cut)]:
        assert run(FakeModel(), "--input", "x.fasta", "--output", output, *options) == 0
    (tmp_path / "x.index").mkdir()
    np.save(tmp_path / "x.index/vectors-000000.npy", np.eye(2))
    (tmp_path / "hits.tsv").write_text("query\tid\nzinc\tP1\n")

    found = {}
    exec("\n".join(LINES), found)
    expected = {id: vectors(text, "projected") for id, text in PROTEINS.items()}
    for read in (found["vectors"], found["datasets"]):
        assert read.keys() == expected.keys()
        for id, vector in expected.items():
            np.testing.assert_array_equal(read[id].astype(np.float32), vector)
    np.testing.assert_array_equal(np.load("x.npy"), np.stack(list(expected.values())))
    assert (tmp_path / "x.ids.txt").read_text(encoding="utf-8").splitlines() == list(PROTEINS)
    with open("x.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == list(PROTEINS)
    np.testing.assert_array_equal(np.float32([row[1:] for row in rows]), np.load("x.npy"))
    for id, text in PROTEINS.items():
        np.testing.assert_array_equal(
            found["residues"][id].astype(np.float32), vectors(text[:6], "residues")
        )
    assert (found["indexed"].shape, found["hits"]) == ((2, 2), [{"query": "zinc", "id": "P1"}])


def test_every_choice_of_keys_is_reported():
    assert set(re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE)) == set(H5_KEYS)

import gzip
import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_pipelines import build
from data_pipelines.clusters import assign_split, read_clusters
from data_pipelines.errors import UserError
from data_pipelines.output_folder import finished_folder
from data_pipelines.protanno import open_dataset
from data_pipelines.record import Feature, Record
from data_pipelines.sample_flat_file import format_entry

ACIDS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


def record(index: int, **changes) -> Record:
    fields = {
        "accession": f"P{index:05}",
        "entry_name": f"A{index}_TEST",
        "source": "swissprot",
        "sequence": "".join(np.random.default_rng(index).choice(ACIDS, 60)),
        "existence": 1 + index % 5,
        "name": f"Protein {index}",
        "function": "Cuts. {ECO:0000305}." if index % 2 else "",
        "features": (Feature("HELIX", 3, 9, "first"),),
    }
    return Record(**(fields | changes))


def write_entries(path: Path, records) -> Path:
    path.write_bytes(gzip.compress("".join(map(format_entry, records)).encode()))
    return path


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"existence": 2}, {"existence": 3, "function": "Cuts.", "location": "Here."}),
        ({"existence": 5}, {"existence": 0}),
        ({"source": "trembl", "location": "Here."}, {"source": "swissprot"}),
        ({"source": "swissprot", "accession": "Q2"}, {"source": "trembl", "accession": "Q1"}),
        ({"accession": "A0A1"}, {"accession": "P1"}),
    ],
)
def test_of_identical_sequences_the_better_is_kept(better, worse):
    better, worse, other = record(0, **({"existence": 1} | better)), record(0, **({"existence": 1} | worse)), record(1)
    assert build.deduplicate([better, worse, other]) == [better, other]
    assert build.deduplicate([worse, other, better]) == [better, other]


def test_whole_clusters_are_held_out_in_the_configured_shares():
    records = [record(index) for index in range(4000)]
    clusters = {r.accession: f"family {index // 4}" for index, r in enumerate(records)}
    options = {"validation_fraction": 0.1, "test_fraction": 0.2}
    splits = [assign_split(r, clusters=clusters, **options) for r in records]
    families = [set(splits[start : start + 4]) & {"validation", "test"} for start in range(0, 4000, 4)]
    for start, family in zip(range(0, 4000, 4), families, strict=True):
        assert len(family) <= 1
        assert not family or len(set(splits[start : start + 4])) == 1
    counts = Counter(next(iter(family), "train") for family in families)
    # Five standard deviations of a binomial with 1000 families.
    assert abs(counts["validation"] - 100) < 5 * 9.5
    assert abs(counts["test"] - 200) < 5 * 12.7
    by_sequence = Counter(assign_split(r, clusters={}, **options) for r in records)
    assert abs(by_sequence["validation"] - 400) < 5 * 19
    assert {split for split in by_sequence if split not in ("validation", "test")} == {
        f"swissprot_c{existence}_r{coverage}" for existence in range(1, 6) for coverage in (1, 2)
    }


def test_a_split_depends_on_the_unit_alone():
    options = {"validation_fraction": 0.3, "test_fraction": 0.3}
    for index in range(50):
        one, twin = record(index), record(index, accession="X", name="other")
        assert assign_split(one, clusters={}, **options) == assign_split(twin, clusters={"Y": "c"}, **options)
        in_cluster = [assign_split(r, clusters={r.accession: f"c{index}"}, **options) for r in (one, record(99))]
        assert len(set(in_cluster) & {"validation", "test"}) <= 1
    assert assign_split(record(1), clusters={}, validation_fraction=0, test_fraction=0) == "swissprot_c2_r2"


def test_clusters_are_read_and_checked(tmp_path):
    path = tmp_path / "clusters.tsv.gz"
    path.write_bytes(gzip.compress(b"c1\tP1\r\nc1\tP2\r\nc1\tP2\nc2\tP3"))
    assert read_clusters(path) == {"P1": "c1", "P2": "c1", "P3": "c2"}
    for content, sentence in (("c1\tP1\nc1 P2\n", "line 2 is not"), ("c1\tP1\nc2\tP1\n", "line 2 puts P1 into cluster c2")):
        path.write_bytes(gzip.compress(content.encode()))
        with pytest.raises(UserError, match=sentence):
            read_clusters(path)


def test_a_build_counts_everything(tmp_path, capsys):
    records = [record(index) for index in range(60)]
    twins = [record(index, accession=f"Q{index:05}", existence=5, source="trembl") for index in range(7)]
    broken = format_entry(record(60)).replace(" 60 AA.", " 61 AA.")
    unread = format_entry(record(61)).replace("FT   HELIX           3..9", "FT   HELIX           3..?")
    first = write_entries(tmp_path / "first.dat.gz", records)
    second = write_entries(tmp_path / "second.dat", twins)
    second.write_bytes(gzip.decompress(second.read_bytes()) + (broken + unread).encode())
    clusters = tmp_path / "clusters.tsv"
    clusters.write_text("".join(f"c{i // 3}\tP{i:05}\n" for i in range(60)) + "empty\tP99999\n")

    fractions = ["--validation_fraction", "0.2", "--test_fraction", "0.2"]
    command = ["--input", str(first), str(second), "--clusters", str(clusters), *fractions, "--output"]
    output = tmp_path / "new" / "protanno"
    assert build.main([*command, str(output)]) == 0
    assert not output.with_name("protanno.partial").exists()

    dataset = open_dataset(output)
    result = dataset.statistics
    assert (result["entries"], result["records"], result["rejected"], result["deduplicated"]) == (69, 61, 1, 7)
    assert sum(result["clusters"].values()) == 61
    assert result["clusters"]["swissprot/C1/R1"] == 6
    assert result["splits"] == {"validation": 0, "test": 0} | {name: len(split) for name, split in dataset.splits.items()}
    assert result["omitted_features"] == {"position unknown": 1}
    assert result["provenance"]["inputs"][0] == {
        "name": "first.dat.gz",
        "bytes": first.stat().st_size,
        "sha256": hashlib.sha256(first.read_bytes()).hexdigest(),
    }
    assert [json.loads(line) for line in (output / "rejects.jsonl").read_text().splitlines()] == [
        {
            "accession": "P00060",
            "file": "second.dat",
            "line": 1 + sum(format_entry(twin).count("\n") for twin in twins),
            "reason": "its sequence has 60 residues, its ID line says 61",
        }
    ]
    kept = {r.accession: r for split in dataset.splits.values() for r in split}
    assert [kept[r.accession] for r in records] == records
    table = capsys.readouterr().out
    assert "swissprot/C1/R1" in table
    assert "69 entries, 61 records, 1 rejected, 7 deduplicated" in table

    # The order of the inputs changes nothing that is read.
    reverse = tmp_path / "reverse"
    command[1:3] = command[2:0:-1]
    assert build.main([*command, str(reverse)]) == 0
    assert {n: list(s) for n, s in open_dataset(reverse).splits.items()} == {n: list(s) for n, s in dataset.splits.items()}


def test_mistakes_exit_2_with_one_sentence_and_leave_nothing(tmp_path, capsys):
    good = str(write_entries(tmp_path / "good.dat.gz", [record(1), record(2)]))
    bad = tmp_path / "bad.dat"
    bad.write_text(format_entry(record(1)).replace(" 60 AA.", " 61 AA."))
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("keep")
    output = tmp_path / "out"
    for arguments, sentence in (
        (["--input", good, "--output", str(full)], "is not empty"),
        (["--input", good, str(tmp_path / "none.dat")], "none.dat cannot be read"),
        (["--input", good, str(tmp_path / "x.fasta")], "no known format"),
        (["--input", str(bad)], "1 of 1 entries were rejected"),
        (["--input", good, str(bad), "--max_rejected_fraction", "0.2"], "1 of 3 entries were rejected"),
        (["--input", good, "--validation_fraction", "0.6", "--test_fraction", "0.4"], "together below 1"),
        (["--input", good, "--validation_fraction", "nan"], "together below 1"),
        (["--input", good, "--clusters", good], "is not `cluster id, tab, accession`"),
        (["--input", good, "--output", str(bad / "x")], "cannot be made"),
    ):
        assert build.main(["--output", str(output), *arguments]) == 2, arguments
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("error: ")
        assert sentence in error
        assert not output.exists()
        assert not list(tmp_path.glob("*.partial"))
    assert (full / "mine.txt").read_text() == "keep"
    assert build.main(["--input", good, str(bad), "--max_rejected_fraction", "0.4", "--output", str(output)]) == 0


def test_an_interrupted_build_looks_unfinished(tmp_path):
    output = tmp_path / "out"
    with pytest.raises(ZeroDivisionError), finished_folder(output) as folder:
        (folder / "dataset_info.json").write_text(str(1 / 0))
    assert not list(tmp_path.iterdir())
    partial = tmp_path / "out.partial"
    partial.mkdir()
    (partial / "left over").touch()
    with finished_folder(output) as folder:
        assert not output.exists()
        (folder / "new").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in output.iterdir()] == ["new"]


def test_the_command_needs_no_tensorflow_and_a_killed_build_leaves_no_dataset(tmp_path):
    source = write_entries(tmp_path / "good.dat.gz", [record(1)])
    code = (
        "import os, sys\n"
        "from data_pipelines import build\n"
        f"arguments = ['--input', {str(source)!r}, '--output']\n"
        f"assert build.main([*arguments, {str(tmp_path / 'done')!r}]) == 0\n"
        "assert not {'tensorflow', 'jax', 'grain'} & set(sys.modules)\n"
        "build.protanno.write_metadata = lambda *_: os.kill(os.getpid(), 9)\n"
        f"build.main([*arguments, {str(tmp_path / 'killed')!r}])\n"
    )
    process = subprocess.run([sys.executable, "-c", code], timeout=120, capture_output=True, check=False)
    assert process.returncode == -9, process.stderr.decode()
    assert len(open_dataset(tmp_path / "done").splits) == 1
    assert not (tmp_path / "killed").exists()


def test_real_entries(real_data, tmp_path):
    folder = real_data / "uniprot" / "flat"
    names = ["uniprot_core", "uniprot_store", "uniprot_rest_api", "legacy_no_pe", "pe5", "bioruby"]
    inputs = [str(folder / f"{name}.dat.gz") for name in names]
    assert build.main(["--input", *inputs, "--output", str(tmp_path / "out")]) == 0
    result = open_dataset(tmp_path / "out").statistics
    assert result["entries"] == 53 + 35 + 2 + 14 + 2 + 2
    assert result["rejected"] == 1
    assert result["records"] == sum(result["clusters"].values()) == sum(result["splits"].values())
    assert result["clusters"]["swissprot/C5/R4"] == result["clusters"]["swissprot/C5/R2"] == 1

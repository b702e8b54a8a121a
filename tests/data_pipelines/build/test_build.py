import gzip
import hashlib
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from data_pipelines.build import __main__ as build
from data_pipelines.build import reading, work_folder
from data_pipelines.common.outputs import new_folder
from data_pipelines.protanno import dataset as protanno
from data_pipelines.protanno.dataset import open_dataset
from data_pipelines.readers import Reject, read_entries
from data_pipelines.readers.uniprot.lab_jsonl import ignored_field
from data_pipelines.sample.flat_file import format_entry
from tests.support.paths import ROOT
from tests.support.records import (
    contents,
    digests,
    expected,
    mutated,
    random_sequence,
    record,
    run,
    write_entries,
)

HALF = ["--validation_fraction", "0.2", "--test_fraction", "0.3"]


def test_a_build_counts_everything(tmp_path, capsys):
    records = [record(index) for index in range(60)]
    twins = [
        record(index, accession=f"Q{index:05}", existence=5, source="trembl") for index in range(7)
    ]
    broken = format_entry(record(60)).replace(" 60 AA.", " 61 AA.")
    unread = format_entry(record(61)).replace(
        "FT   HELIX           3..9", "FT   HELIX           3..?"
    )
    first = write_entries(tmp_path / "first.dat.gz", records)
    second = write_entries(tmp_path / "second.dat", twins, broken, unread)
    (tmp_path / "second.dat.provenance.json").write_text(
        json.dumps(
            {"release": "2026_03", "sha256": hashlib.sha256(second.read_bytes()).hexdigest()}
        )
    )
    clusters = tmp_path / "clusters.tsv"
    clusters.write_text("".join(f"c{i // 3}\tP{i:05}\n" for i in range(60)) + "empty\tP99999\n")
    fasta = tmp_path / "test.fasta"
    fasta.write_text(f">x\n{records[50].sequence.lower()}\n>y\n{records[51].sequence}A\n")

    command = ["--clusters", clusters, "--exclude_fasta", fasta, *HALF, "--output"]
    output = tmp_path / "new" / "protanno"
    assert run("--input", first, second, *command, output) == 0
    assert [path.name for path in output.parent.iterdir()] == ["protanno"]

    dataset = open_dataset(output)
    result = dataset.statistics
    counts = [result[key] for key in ("entries", "records", "rejected", "deduplicated", "excluded")]
    assert counts == [69, 60, 1, 7, 1]
    assert sum(result["clusters"].values()) == 60
    assert result["clusters"]["swissprot/C1/R1"] == 5
    assert result["splits"] == {"validation": 0, "test": 0} | {
        name: len(split) for name, split in dataset.splits.items()
    }
    assert result["omitted_features"] == {"position unknown": 1}
    assert result["rejected_by_file"] == {"second.dat": 1}
    ((reason, count),) = result["top_rejects"].items()
    assert count == 1
    assert re.fullmatch("its sequence .*….*ID line .*…", reason)
    assert result["deduplicated_by_source"] == {"trembl into swissprot": 7}
    assert result["excluded_by_file"] == {"test.fasta": 1}
    assert result["lengths"]["total"] == 60 * 60
    in_bin = dict(zip(result["lengths"]["edges"], result["lengths"]["counts"], strict=False))
    assert in_bin.pop(50) == 60
    assert not any(in_bin.values())
    # 20 families of three, of which one lost a member, and the entry that is in none.
    assert result["similarity_clusters"] == {
        "clusters": 21,
        "largest": 3,
        "sizes": {"edges": [1, 2, 4], "counts": [1, 20]},
        "records_in_no_cluster": 1,
    }
    assert result["overlap"]["test"] == {
        "sequences": result["splits"]["test"],
        "sampled": result["splits"]["test"],
        "related": 0,
        "share": 0,
        "similarity": 0.1,
        "related_without_text": 0,
    }
    digest = hashlib.sha256(first.read_bytes()).hexdigest()
    inputs = result["provenance"]["inputs"]
    assert inputs[0] == {"name": "first.dat.gz", "bytes": first.stat().st_size, "sha256": digest}
    assert inputs[1]["release"] == "2026_03"
    (reject,) = map(json.loads, (output / "rejects.jsonl").read_text().splitlines())
    assert re.fullmatch("its sequence .*60 .*ID line .*61", reject.pop("reason"))
    assert reject == {
        "accession": "P00060",
        "file": "second.dat",
        "line": 1 + sum(format_entry(twin).count("\n") for twin in twins),
    }
    merged = [
        line.split("\t")
        for line in gzip.decompress((output / "merged.tsv.gz").read_bytes()).decode().splitlines()
    ]
    assert sorted(merged) == [[f"Q{i:05}", "trembl", f"P{i:05}", "swissprot"] for i in range(7)]
    assert (output / "excluded.tsv").read_text() == "P00050\ttest.fasta\n"
    assert (output / "report" / "report.md").exists()
    kept = {r.accession: r for split in dataset.splits.values() for r in split}
    assert [kept.get(r.accession) for r in records] == [*records[:50], None, *records[51:]]
    table = capsys.readouterr().out
    assert "swissprot/C1/R1" in table
    assert "69 entries, 60 records, 1 rejected, 7 deduplicated, 1 excluded" in table
    assert "test.fasta: 1 of its 2 sequences were in the input and are left out" in table
    assert result["exclude_fasta_sequences"] == {"test.fasta": 2}
    assert result["doubtful_records"] == {}

    # The order of the inputs changes nothing that is read.
    assert run("--input", second, first, *command, tmp_path / "reverse") == 0
    assert contents(tmp_path / "reverse") == contents(output)


def test_genes_are_reported_and_a_file_of_them_is_refused(tmp_path, capsys, no_report):
    genes = [f"G{i}\tgene\t{'ATGGCTGACGAAAAACGTTGGCTGAACGCT' + 'ACGT' * i}\n" for i in range(3)]
    proteins = [f"P{i}\tthing\t{record(i).sequence}\n" for i in range(4)]
    header = "accession\tname\tsequence\n"
    (tmp_path / "genes.tsv").write_text(header + "".join(genes))
    (tmp_path / "mixed.tsv").write_text(header + "".join(genes + proteins))
    assert run("--input", tmp_path / "genes.tsv", "--output", tmp_path / "refused") == 2
    printed = capsys.readouterr().err
    assert "3 of 3 sequences look like nucleotides" in printed
    assert "--accept_doubtful" in printed
    assert not (tmp_path / "refused").exists()
    assert (
        run(
            "--input",
            tmp_path / "genes.tsv",
            "--accept_doubtful",
            "--output",
            tmp_path / "accepted",
        )
        == 0
    )
    capsys.readouterr()
    assert run("--input", tmp_path / "mixed.tsv", "--output", tmp_path / "mixed") == 0
    assert "3 of 7 sequences look like nucleotides" in capsys.readouterr().out
    assert open_dataset(tmp_path / "mixed").statistics["doubtful_records"] == {"nucleotides": 3}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """600 entries in two files: families of similar sequences, identical ones, rejects; their
    cluster file; the records."""
    folder, rng = tmp_path_factory.mktemp("mixed"), np.random.default_rng(0)
    records = []
    for family in range(150):
        ancestor = random_sequence(rng, 120)
        for member in range(4):
            source = ("swissprot", "trembl")[rng.integers(2)]
            sequence = ancestor if member == 3 else mutated(ancestor, 0.85, rng)
            records.append(record(family * 4 + member, sequence=sequence, source=source))
            if member == 3:
                records.append(
                    record(
                        family * 4 + member,
                        sequence=ancestor,
                        accession=f"X{family:05}",
                        existence=3,
                    )
                )
    bad = [format_entry(one).replace("PE   ", "PE   x") for one in records[:40]]
    order = rng.permutation(len(records))
    half = len(records) // 2
    first = [records[i] for i in order[:half]]
    second = [records[i] for i in order[half:]]
    inputs = [
        write_entries(folder / "a.dat.gz", first, *bad),
        write_entries(folder / "b.dat", second),
    ]
    clusters = {one.accession: f"c{index % 100}" for index, one in enumerate(records) if index % 3}
    (folder / "clusters.tsv").write_text(
        "".join(f"{cluster}\t{accession}\n" for accession, cluster in clusters.items())
    )
    return {
        "inputs": inputs,
        "clusters": folder / "clusters.tsv",
        "records": records,
        "cluster_of": clusters,
    }


@pytest.fixture
def no_report(monkeypatch):
    """Leaves out the figures, which take most of the time of a small build."""
    monkeypatch.setattr(build, "write_report", lambda *_: None)


@pytest.fixture
def small_parts(monkeypatch):
    """Sizes at which 600 entries take many batches, ranges and files."""
    monkeypatch.setattr(reading, "BATCH_BYTES", 5000)
    monkeypatch.setattr(work_folder, "RANGE_BYTES", 20_000)
    monkeypatch.setattr(protanno, "SHARD_RECORDS", 7)


@pytest.mark.parametrize("clustered", [False, True])
def test_a_dataset_holds_what_it_must(mixed, small_parts, no_report, tmp_path, clustered):
    clusters = ["--clusters", mixed["clusters"]] if clustered else []
    assert run("--input", *mixed["inputs"], *clusters, "--output", tmp_path / "out") == 0
    assert contents(tmp_path / "out") == expected(
        mixed["records"], clusters=mixed["cluster_of"] if clustered else {}
    )
    assert len(list((tmp_path / "out").glob("*-test.array_record*"))) > 1
    assert len((tmp_path / "out" / "rejects.jsonl").read_text().splitlines()) == 40


def test_neither_parts_nor_workers_show(mixed, no_report, monkeypatch, tmp_path):
    command = ["--input", *mixed["inputs"], "--cluster", "minhash", *HALF, "--output"]
    assert run(*command, tmp_path / "whole", "--workers", "1") == 0
    # Other processes do not see what is patched here, but they get other batches.
    monkeypatch.setattr(reading, "BATCH_BYTES", 5000)
    assert run(*command, tmp_path / "workers", "--workers", "2") == 0
    assert digests(tmp_path / "workers") == digests(tmp_path / "whole")
    monkeypatch.setattr(work_folder, "RANGE_BYTES", 20_000)
    assert run(*command, tmp_path / "parts", "--workers", "1") == 0
    assert digests(tmp_path / "parts") == digests(tmp_path / "whole")


def test_minhash_keeps_families_together(mixed, no_report, tmp_path):
    assert (
        run(
            "--input", *mixed["inputs"], "--cluster", "minhash", *HALF, "--output", tmp_path / "out"
        )
        == 0
    )
    split_of = {
        one.accession: name for name, split in contents(tmp_path / "out").items() for one in split
    }
    families = []
    for start in range(0, 600, 4):
        accessions = [f"P{index:05}" for index in range(start, start + 3)]
        families.append({split_of.get(accession, "merged") for accession in accessions})
    held_out = [family & {"validation", "test"} for family in families]
    # At 85 % identity to the ancestor, 72 % to each other, hardly one in a family is missed.
    assert sum(len(family) == 1 for family in families if family & {"validation", "test"}) >= 60
    assert (
        sum(
            bool(names) and len(family) > 1
            for names, family in zip(held_out, families, strict=True)
        )
        <= 3
    )
    result = open_dataset(tmp_path / "out").statistics
    assert 148 <= result["similarity_clusters"]["clusters"] <= 160
    assert result["similarity_clusters"]["largest"] == 4
    assert result["provenance"]["minhash"]["k"] == 4
    assert sum(result["overlap"][name]["related"] for name in ("validation", "test")) <= 8
    assert run("--input", *mixed["inputs"], *HALF, "--output", tmp_path / "apart") == 0
    assert open_dataset(tmp_path / "apart").statistics["overlap"]["test"]["share"] > 0.5
    assert run("--input", *mixed["inputs"], "--skip_overlap", "--output", tmp_path / "skipped") == 0
    assert "overlap" not in open_dataset(tmp_path / "skipped").statistics


def test_records_are_held_out_at_random_beside_whole_clusters(mixed, no_report, tmp_path):
    command = [
        "--input",
        *mixed["inputs"],
        "--clusters",
        mixed["clusters"],
        "--random_test_fraction",
        "0.2",
    ]
    assert run(*command, "--output", tmp_path / "out") == 0
    found = contents(tmp_path / "out")
    assert found == expected(
        mixed["records"], clusters=mixed["cluster_of"], random_test_fraction=0.2
    )
    result = open_dataset(tmp_path / "out").statistics
    assert result["splits"]["random_test"] == len(found["random_test"]) > 60
    assert result["provenance"]["random_test_fraction"] == 0.2
    # Families are of four: nearly all have a relative in training.
    assert result["overlap"]["random_test"]["share"] > 0.8
    assert "random_test" not in open_dataset_without_clusters(mixed, tmp_path).splits


def open_dataset_without_clusters(mixed, tmp_path):
    assert run("--input", *mixed["inputs"], "--output", tmp_path / "plain") == 0
    return open_dataset(tmp_path / "plain")


def test_a_lab_s_entries_as_they_are(no_report, tmp_path, capsys):
    """Without names, sources or any text, with a field that names the cluster, and with fields
    that nothing reads."""
    rng = np.random.default_rng(0)
    texts = {
        "name": "Widgetase",
        "function": "Cuts.",
        "location": "Nucleus.",
        "similarity": "Belongs.",
    }
    entries = []
    for index in range(120):
        sequence = random_sequence(rng, 50)
        found = dict(list(texts.items())[index % 5 :])
        entry = {
            "accession": f"L{index}",
            "sequence": sequence,
            "cluster40": f"c{index // 4}",
            "origin": {"name": "us"},
        }
        entries.append(
            entry
            | found
            | {"source": ("swissprot", "trembl", "")[index % 3], "existence": index % 6}
        )
    path = tmp_path / "lab.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(entry) + "\n" for entry in entries).encode()))
    command = [
        "--input",
        path,
        "--cluster_field",
        "cluster40",
        "--test_fraction",
        "0.2",
        "--output",
        tmp_path / "out",
    ]
    assert run(*command) == 0
    dataset = open_dataset(tmp_path / "out")
    result = dataset.statistics
    assert (result["records"], result["rejected"]) == (120, 0)
    counted = Counter(
        f"{('swissprot', 'trembl', 'unknown')[index % 3]}/C{index % 6}/R{4 - index % 5}"
        for index in range(120)
    )
    assert result["clusters"] == counted
    assert result["omitted_features"] == {ignored_field("origin"): 120}
    assert f"120 times: {ignored_field('origin')}" in capsys.readouterr().out
    assert result["similarity_clusters"]["clusters"] == 30
    assert result["provenance"]["cluster_field"] == "cluster40"
    clusters = {entry["accession"]: entry["cluster40"] for entry in entries}
    assert {r.accession: r.name for split in dataset.splits.values() for r in split}["L1"] == ""
    records = list(read_entries(path))
    assert contents(tmp_path / "out") == expected(records, clusters=clusters, test_fraction=0.2)
    for option, field in (("--cluster_field", "cluster"), ("--exclude_entries", "near")):
        assert run("--input", path, option, field, "--output", tmp_path / "none") == 2
        assert f"no entry of the input has the field {field} of {option}" in capsys.readouterr().err


def test_entries_that_a_field_marks_are_left_out(no_report, tmp_path, capsys):
    rng = np.random.default_rng(0)
    marks = [
        {"near": True},
        {"near": False, "bench": ["a", "b"]},
        {"bench": ["b"]},
        {"bench": "a"},
        {"bench": []},
        {},
    ]
    entries = [
        {"accession": f"L{i}", "sequence": random_sequence(rng, 50)} | mark
        for i, mark in enumerate(marks * 5)
    ]
    path = tmp_path / "lab.jsonl"
    path.write_text(
        "".join(json.dumps(entry) + "\n" for entry in entries) + '{"accession": "broken"\n'
    )
    command = [
        "--input",
        path,
        "--exclude_entries",
        "near",
        "bench=a",
        "--output",
        tmp_path / "out",
    ]
    assert run(*command) == 0
    dataset = open_dataset(tmp_path / "out")
    kept = {int(r.accession[1:]) % 6 for split in dataset.splits.values() for r in split}
    assert kept == {2, 4, 5}
    result = dataset.statistics
    assert (result["records"], result["excluded"], result["rejected"]) == (15, 15, 1)
    assert result["excluded_by_file"] == {"near": 5, "bench=a": 10}
    assert result["omitted_features"] == {}
    assert "bench=a: 10 records are left out" in capsys.readouterr().out
    assert (tmp_path / "out" / "excluded.tsv").read_text().count("\tnear\n") == 5


def test_mistakes_exit_2_with_one_sentence_and_leave_nothing(tmp_path, capsys):
    good = str(write_entries(tmp_path / "good.dat.gz", [record(1), record(2)]))
    bad = tmp_path / "bad.dat"
    bad.write_text(format_entry(record(1)).replace(" 60 AA.", " 61 AA."))
    fasta = tmp_path / "all.fasta"
    fasta.write_text("".join(f">x\n{record(index).sequence}\n" for index in (1, 2)))
    foreign = tmp_path / "cdhit.clstr"
    foreign.write_text(">Cluster 0\n0\t100aa, >P0000... *\n")
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("keep")
    output = tmp_path / "out"
    for arguments, sentence in (
        (["--input", good, "--output", str(full)], "is not empty"),
        (["--input", good, str(tmp_path / "none.dat")], "none.dat cannot be read"),
        (["--input", good, str(tmp_path / "x.fasta")], "x.fasta has an unknown format"),
        (["--input", str(bad)], "1 of 1 entries were rejected"),
        (
            ["--input", good, str(bad), "--max_rejected_fraction", "0.2"],
            "1 of 3 entries were rejected",
        ),
        (
            ["--input", good, "--validation_fraction", "0.6", "--test_fraction", "0.4"],
            "together below 1",
        ),
        (["--input", good, "--validation_fraction", "nan"], "together below 1"),
        (["--input", good, "--clusters", good], "expected `cluster id, tab, accession`"),
        (["--input", good, "--clusters", good, "--cluster", "minhash"], "choose one"),
        (["--input", good, "--clusters", str(foreign)], "none of the 2 records"),
        (
            ["--input", good, "--exclude_fasta", str(tmp_path / "none.fasta")],
            "none.fasta cannot be read",
        ),
        (["--input", good, "--exclude_fasta", str(fasta)], "--exclude_fasta"),
        (["--input", good, "--workers", "0"], "at least 1"),
        (
            ["--input", good, str(bad), "--max_rejected_fraction", "0.2", "--workers", "2"],
            "1 of 3 entries were rejected",
        ),
        (["--input", good, "--output", str(bad / "x")], "bad.dat/x"),
    ):
        assert build.main(["--output", str(output), *arguments]) == 2, arguments
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("error: ")
        assert sentence in error
        assert not output.exists()
        assert not list(tmp_path.glob("*.partial"))
    assert (full / "mine.txt").read_text() == "keep"
    assert (
        build.main(
            ["--input", good, str(bad), "--max_rejected_fraction", "0.4", "--output", str(output)]
        )
        == 0
    )


@pytest.mark.parametrize("room", [0, 3_000, 60_000])
def test_a_full_disk_is_one_sentence(tmp_path, room):
    # Long texts, so that the largest files are the spill, then the sorted records, then a split's.
    records = [record(index, existence=1, function="Cuts. " * 100) for index in range(60)]
    source = write_entries(tmp_path / "good.dat.gz", records)
    code = (
        "import resource, signal, sys\n"
        "from data_pipelines.build import __main__ as build\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        f"sys.exit(build.main(['--input', {str(source)!r}, '--output', "
        f"{str(tmp_path / 'out')!r}, '--workers', '1']))\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], timeout=120, capture_output=True, check=False, text=True
    )
    assert process.returncode == 1, process.stderr
    assert "out cannot be written (" in process.stderr.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["good.dat.gz"]


def test_an_interrupted_build_looks_unfinished(tmp_path):
    output = tmp_path / "out"
    with pytest.raises(ZeroDivisionError), new_folder(output) as folder:
        (folder / "dataset_info.json").write_text(str(1 / 0))
    assert not list(tmp_path.iterdir())


def test_a_second_build_with_the_same_output_leaves_the_running_one_alone(
    mixed, no_report, tmp_path, capsys
):
    command = ["--input", *mixed["inputs"], "--output", tmp_path / "out"]
    with new_folder(tmp_path / "out") as folder:
        (folder / "begun").touch()
        assert run(*command) == 2
        assert "out is being written by another run" in capsys.readouterr().err
        assert (folder / "begun").exists()


def test_a_users_folder_beside_the_output_is_kept(mixed, no_report, tmp_path, capsys):
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "thesis").touch()
    assert run("--input", *mixed["inputs"], "--output", tmp_path / "out") == 2
    assert "out.partial is in the way" in capsys.readouterr().err
    assert (tmp_path / "out.partial" / "thesis").exists()


STEPS = ["local.parse_batch", "dataset.write_shard"]
ALL_STEPS = [
    "work_folder.prepare",
    "local.parse_batch",
    "local.take_stock",
    "work_folder.WorkFolder.save_group",
    "steps.join_similar",
    "steps.assign_splits",
    "steps.measure_overlap",
    "dataset.write_shard",
    "steps.write_splits",
    "protanno.write_metadata",
    "protanno.write_statistics",
    "build.write_report",
]


@pytest.mark.parametrize(
    "steps",
    [pytest.param(STEPS, id="few"), pytest.param(ALL_STEPS, id="all", marks=pytest.mark.soak)],
)
def test_a_killed_build_leaves_no_dataset_and_is_made_anew(mixed, no_report, tmp_path, steps):
    command = ["--input", *mixed["inputs"], "--cluster", "minhash", "--workers", "1", "--output"]
    assert run(*command, tmp_path / "whole") == 0
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.support.killed_build",
                step,
                *map(str, command),
                str(tmp_path / step),
            ],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        for step in steps
    ]
    assert [process.wait() for process in processes] == [-signal.SIGKILL] * len(steps)
    assert not any((tmp_path / step).exists() for step in steps)
    assert all((tmp_path / f"{step}.partial").exists() for step in steps)
    for step in steps if steps is ALL_STEPS else steps[1:2]:
        assert run(*command, tmp_path / step) == 0
        assert digests(tmp_path / step) == digests(tmp_path / "whole")
        assert not (tmp_path / f"{step}.partial").exists()


@pytest.mark.soak
def test_a_build_with_workers_that_is_killed_anywhere_is_made_anew(mixed, tmp_path):
    command = ["--input", *mixed["inputs"], "--cluster", "minhash", "--workers", "2", "--output"]
    assert run(*command, tmp_path / "whole") == 0
    for tenths in range(15, 60, 3):
        output = tmp_path / str(tenths)
        process = subprocess.Popen(
            [sys.executable, "-m", "data_pipelines.build", *map(str, command), str(output)],
            stderr=subprocess.DEVNULL,
        )
        time.sleep(tenths / 10)
        process.kill()
        process.wait()
        assert output.exists() or run(*command, output) == 0
        assert digests(output) == digests(tmp_path / "whole")


def test_the_command_needs_no_tensorflow(tmp_path):
    source = write_entries(tmp_path / "good.dat.gz", [record(1)])
    code = (
        "import sys\n"
        "from data_pipelines.build import __main__ as build\n"
        f"assert build.main(['--input', {str(source)!r}, '--output', "
        f"{str(tmp_path / 'done')!r}]) == 0\n"
        "assert not {'tensorflow', 'jax', 'grain', 'apache_beam'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=120, check=True)
    assert len(open_dataset(tmp_path / "done").splits) == 1


def test_real_entries(real_data, no_report, tmp_path):
    inputs = sorted((real_data / "uniprot" / "flat").glob("*.dat.gz"))
    assert run("--input", *inputs, "--cluster", "minhash", "--output", tmp_path / "out") == 0
    entries = [entry for path in inputs for entry in read_entries(path)]
    records = [entry for entry in entries if not isinstance(entry, Reject)]
    result = open_dataset(tmp_path / "out").statistics
    assert result["entries"] == len(entries) > 1000
    assert result["rejected"] == len(entries) - len(records)
    assert result["records"] == sum(result["clusters"].values()) == sum(result["splits"].values())
    held = sorted(
        (one for split in contents(tmp_path / "out").values() for one in split),
        key=lambda one: one.accession,
    )
    plain = expected(records, clusters={}, validation_fraction=0, test_fraction=0)
    assert held == sorted(
        (one for split in plain.values() for one in split), key=lambda one: one.accession
    )
    assert result["clusters"]["swissprot/C5/R4"] == 1

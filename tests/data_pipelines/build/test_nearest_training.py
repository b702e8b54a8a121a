import gzip
import itertools
import re

import numpy as np
import pytest

from data_pipelines import fasta
from data_pipelines.build import __main__ as build
from data_pipelines.build import nearest_training
from data_pipelines.protanno.dataset import open_dataset
from data_pipelines.protanno.nearest import COLUMNS, FILE, Nearest, load_nearest, write_nearest
from data_pipelines.readers.fasta import read_fasta
from tests.support.records import random_sequence, run

HEADER = "accession\tsequence\tname\n"


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A table of 200 proteins, every fourth without text, and the build's command without
    output."""
    monkeypatch.setattr(build, "write_report", lambda *_: None)
    rng = np.random.default_rng(0)
    rows = [
        f"L{i}\t{random_sequence(rng, 40)}\t{'' if i % 4 == 0 else f'Protein {i}'}\n"
        for i in range(200)
    ]
    (tmp_path / "lab.tsv").write_text(HEADER + "".join(rows))
    return [
        "--input",
        tmp_path / "lab.tsv",
        "--test_fraction",
        "0.2",
        "--validation_fraction",
        "0.1",
    ]


def held_out(folder):
    return [
        r.accession for name in ("test", "validation") for r in open_dataset(folder).splits[name]
    ]


def hit_line(query, target, identity, coverage):
    return f"{query}\t{target}\t{identity}\t{coverage}\t1.0\t1e-9\t120\n"


def plain_nearest(hits, kinds):
    """By query and kind of target, the identity and coverage of the hit with the most identical
    residues."""
    best = {}
    for query, target, identity, coverage in hits:
        key = query, kinds.get(target)
        if identity * coverage > np.prod(best.get(key, (0, 0))):
            best[key] = identity, coverage
    return best


def test_identities_are_those_of_the_best_hits_in_training(lab, tmp_path, monkeypatch, capsys):
    assert run(*lab, "--output", tmp_path / "first") == 0
    queries = held_out(tmp_path / "first")
    training = [f"L{i}" for i in range(200) if f"L{i}" not in queries]
    kinds = {name: "bare" if int(name[1:]) % 4 == 0 else "text" for name in training}
    rng = np.random.default_rng(1)
    hits = []
    for query in queries[:-3]:
        for target in rng.choice([*training, *queries], 12, replace=False).tolist():
            hits.append(
                (query, target, round(float(rng.random()), 3), round(float(rng.random()), 3))
            )
    # Training records as queries, and targets that are in no dataset, do not count.
    lines = [hit_line(*hit) for hit in hits] + [
        hit_line(training[0], training[1], 1, 1),
        hit_line(queries[0], "X", 1, 1),
    ]
    lines.append(hit_line(f"sp|{queries[0]}|A_B", f"tr|{training[0]}|C_D", 0.999, 0.999))
    hits.append((queries[0], training[0], 0.999, 0.999))
    (tmp_path / "hits.m8").write_text("".join(lines))
    monkeypatch.setattr(nearest_training, "_ROWS_AT_ONCE", 7)
    assert run(*lab, "--identities", tmp_path / "hits.m8", "--output", tmp_path / "second") == 0

    best = plain_nearest(hits, kinds)
    found = open_dataset(tmp_path / "second").nearest()
    assert sorted(found) == sorted(queries)
    for query in queries:
        near, bare = best.get((query, "text"), (0, 0)), best.get((query, "bare"), (0, 0))
        measured = found[query][:4]
        assert measured == pytest.approx((*near, *bare), abs=1e-3)
        assert found[query].related is False
    shown = open_dataset(tmp_path / "second").statistics["identities"]
    assert shown["hits"] == len(lines)
    with_hit = {query for query, kind in best if kind}
    assert shown["held_out_without_hit"] == len(set(queries) - with_hit)
    assert "held out without hit" in capsys.readouterr().out

    # A dataset with fewer training records keeps the bands of this one.
    content = (tmp_path / "lab.tsv").read_text().splitlines(keepends=True)
    fewer = [
        line
        for line in content[1:]
        if line.split("\t")[0] in queries or int(line.split("\t")[0][1:]) % 3
    ]
    (tmp_path / "fewer.tsv").write_text(HEADER + "".join(fewer))
    smaller = [
        "--input",
        tmp_path / "fewer.tsv",
        *lab[2:],
        "--identities",
        tmp_path / "second" / FILE,
    ]
    assert run(*smaller, "--output", tmp_path / "third") == 0
    again = open_dataset(tmp_path / "third").nearest()
    whole = {name: near[:4] for name, near in found.items()}
    assert {name: near[:4] for name, near in again.items()} == whole


def test_without_a_file_only_close_relatives_are_known(lab, tmp_path):
    content = (tmp_path / "lab.tsv").read_text()
    first = content.splitlines()[1].split("\t")[1]
    rows = [
        f"N{i}\t{first[:-2]}{a}{b}\tNear {i}\n"
        for i, (a, b) in enumerate(itertools.product("ACDEFG", "HIKLM"))
    ]
    (tmp_path / "lab.tsv").write_text(content + "".join(rows))
    assert run(*lab, "--output", tmp_path / "out") == 0
    found = open_dataset(tmp_path / "out").nearest()
    near = {name for name, one in found.items() if one.related}
    assert len(near) > 3
    assert near == {name for name in found if name.startswith("N") or name == "L0"}
    assert all(one.identity is None for one in found.values())
    assert run(*lab, "--skip_overlap", "--output", tmp_path / "skipped") == 0
    assert set(open_dataset(tmp_path / "skipped").nearest().values()) == {Nearest()}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "L1\tL2\t0.5\n",
            "line 1 has 3 columns, not 7; .*--format-output query,target,fident",
        ),
        ("L1\tL2\t50\t0.9\t1\t1\t1\n", "fident 50 and qcov 0.9 .*from 0 to 1"),
        ("L1\tL2\tx\t0.9\t1\t1\t1\n", "line 1: could not convert"),
        ("L1\tL2\tnan\t0.9\t1\t1\t1\n", "from 0 to 1"),
        ("query\ttarget\tfident\n", "has no column evalue"),
        (
            "X\tY\t0.5\t0.9\t1\t1\t1\n",
            "bad.m8: none of its 1 hits",
        ),
    ],
)
def test_another_file_is_one_sentence(lab, tmp_path, capsys, content, sentence):
    (tmp_path / "bad.m8").write_text(content)
    assert run(*lab, "--identities", tmp_path / "bad.m8", "--output", tmp_path / "out") == 2
    assert re.search(sentence, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_a_header_names_the_columns(lab, tmp_path):
    assert run(*lab, "--output", tmp_path / "first") == 0
    query, *_ = held_out(tmp_path / "first")
    target = next(f"L{i}" for i in range(1, 200, 4) if f"L{i}" not in held_out(tmp_path / "first"))
    columns = "query\tbits\ttarget\tqcov\tfident\ttcov\tevalue\textra\n"
    (tmp_path / "hits.m8.gz").write_bytes(
        gzip.compress(f"{columns}{query}\t9\t{target}\t0.7\t0.4\t1\t0\tx\n".encode())
    )
    assert run(*lab, "--identities", tmp_path / "hits.m8.gz", "--output", tmp_path / "out") == 0
    assert open_dataset(tmp_path / "out").nearest()[query][:4] == (0.4, 0.7, 0, 0)


def test_fasta_files_of_a_dataset(lab, tmp_path):
    assert run(*lab, "--output", tmp_path / "out") == 0
    assert (
        fasta.main(["--data_dir", str(tmp_path / "out"), "--output", str(tmp_path / "fasta")]) == 0
    )
    written = {}
    for name in ("held_out.fasta", "training.fasta"):
        written[name] = {item.id: item.text for item in read_fasta(tmp_path / "fasta" / name)}
    assert sorted(written["held_out.fasta"]) == sorted(held_out(tmp_path / "out"))
    records = {
        r.accession: r.sequence
        for split in open_dataset(tmp_path / "out").splits.values()
        for r in split
    }
    assert written["held_out.fasta"] | written["training.fasta"] == records
    assert len(records) == 200


HEAD = "\t".join(COLUMNS).encode() + b"\n"


@pytest.mark.parametrize(
    "damage",
    [
        None,
        b"",
        b"accession\n",
        b"a\tb\n",
        HEAD + b"L1\t2\t1\t\t\t\t\n",
        HEAD + b"L1\t0.5\t\t\t\t\t\n",
        HEAD + b"x" * 10_000,
    ],
)
def test_a_damaged_table_is_one_sentence(tmp_path, damage):
    write_nearest(tmp_path / FILE, [("L1", Nearest(0.5, 0.25, related=True)), ("L2", Nearest())])
    load_nearest.cache_clear()
    assert load_nearest(tmp_path) == {"L1": Nearest(0.5, 0.25, related=True), "L2": Nearest()}
    load_nearest.cache_clear()
    (tmp_path / FILE).write_bytes(b"no gzip" if damage is None else gzip.compress(damage))
    with pytest.raises(build.UserError, match=r"nearest\.tsv\.gz"):
        load_nearest(tmp_path)
    load_nearest.cache_clear()

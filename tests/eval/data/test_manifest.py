import json
import re

import pytest

from data_pipelines.common.errors import UserError
from eval.benchmarks.cross_modal.cross_modal import BENCHMARKS as CROSS_MODAL
from eval.benchmarks.families import BENCHMARKS, FORMATS
from eval.data.base.format import GIVEN
from eval.data.manifest import MissingData, available, load, main
from eval.data.template import template

KINDS = {name: benchmark.kind for name, benchmark in BENCHMARKS.items() if benchmark.kind}
WANTED = {name: benchmark.wanted for name, benchmark in BENCHMARKS.items()}
FEW_SHOT = {name for name, benchmark in BENCHMARKS.items() if not benchmark.formats}


def written(folder, **entries):
    (folder / "benchmarks.json").write_text(json.dumps(entries))
    return folder


def table(folder, name, text="name\tsequence\ttarget\nA\tMK\t1\nB\tMV\t2\n"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_missing_data_are_named_with_their_source(tmp_path):
    with pytest.raises(
        MissingData,
        match=r"ec: .*benchmarks.json .*nrPDB-EC_2020.04.*DeepFRI",
    ):
        load(tmp_path, "ec")
    with pytest.raises(MissingData, match="ec: .*benchmarks.json .*no entry"):
        load(written(tmp_path, membrane={"format": "neutral", "train": "x"}), "ec")
    with pytest.raises(
        MissingData,
        match="x.fasta, test of membrane.*deeploc_our_train_set.fasta",
    ):
        load(written(tmp_path, membrane={"format": "deeploc_fasta", "test": "x.fasta"}), "membrane")
    found, wanted = available(tmp_path)
    assert found == []
    assert list(wanted) == list(BENCHMARKS)
    assert all(WANTED[name] in sentence for name, sentence in wanted.items())


def test_sentences_are_not_cut():
    # UserError shortens what is longer than a thousand characters.
    assert max(map(len, WANTED.values())) < 500


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"ecc": {"format": "deepfri"}}, "unknown benchmark 'ecc'"),
        (
            {"ec": {"format": "fasta"}},
            "the entry 'ec'.* deeploc_fasta, ses_jsonl",
        ),
        ({"ec": ["deepfri"]}, "the entry 'ec'.* deeploc_fasta, ses_jsonl"),
        ({"ec": {"format": ["deepfri"]}}, "the entry 'ec'.* deeploc_fasta, ses_jsonl"),
        (
            {"ec": {"format": "flip", "file": "f"}},
            "ec: the format flip .* ses_jsonl, deepfri",
        ),
        (
            {"ec": {"format": "deepfri", "train": "f"}},
            "ec lacks annotations and sequences, which deepfri needs",
        ),
        (
            {"ec": {"format": "ses_jsonl", "trian": "f"}},
            "ec: .*'trian'.* ses_jsonl.* train, valid",
        ),
        (
            {"ec": {"format": "ses_jsonl", "class_count": 3}},
            "ec names no file; ses_jsonl takes train, valid, test",
        ),
        (
            {"ec": {"format": "ses_jsonl", "train": "f", "class_count": "3"}},
            "class_count is '3'.* whole number",
        ),
        (
            {"ec": {"format": "ses_jsonl", "train": {"a": "f"}}},
            "train is {'a': 'f'}",
        ),
        ({"ec": {"format": "ses_jsonl", "train": ["f", 3]}}, "train is 3"),
    ],
)
def test_faults_of_the_manifest(tmp_path, entries, message):
    table(tmp_path, "f")
    with pytest.raises(UserError, match=f"benchmarks.json.*{message}"):
        load(written(tmp_path, **entries), "ec")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"contents": ["f"]}, r"contents is \['f'\]"),
        ({"vectors": {"drug": "f"}}, "vectors of drug need"),
        ({"vectors": {"drug": {"file": "f", "source": 1}}}, "vectors of drug need"),
        (
            {"vectors": {"drug": {"file": "gone.npz", "source": "x"}}},
            "gone.npz, vectors drug of prot2bp",
        ),
        ({"node_types": "drug"}, "node_types is 'drug'.* list of texts"),
        ({"node_types": []}, r"node_types is \[\].* list of texts"),
        ({"node_types": ["drug", 2]}, r"node_types is \['drug', 2\].* list of texts"),
    ],
)
def test_faults_of_a_graphs_entry(tmp_path, entry, message):
    table(tmp_path, "f")
    with pytest.raises(UserError, match=message):
        load(
            written(tmp_path, knowledge_graph={"format": "primekg", "edges": "f"} | entry),
            "prot2bp",
        )


def test_other_faults(tmp_path):
    with pytest.raises(UserError, match="unknown benchmark 'EC'; expected localisation"):
        load(tmp_path, "EC")
    with pytest.raises(UserError, match="gone .*folder"):
        load(tmp_path / "gone", "ec")
    (tmp_path / "benchmarks.json").write_text("{")
    with pytest.raises(UserError, match="benchmarks.json is damaged: .*JSON"):
        available(tmp_path)


def test_data_of_which_nothing_can_be_used(tmp_path):
    table(tmp_path, "stability/train.tsv", "name\tsequence\ttarget\nA\tMK\thigh\n")
    with pytest.raises(
        UserError,
        match="stability has no usable row.*its target is",
    ):
        load(tmp_path, "stability")


def test_an_entry_comes_before_its_group_and_the_neutral_layout(tmp_path):
    for name, target in (("own.tsv", "a"), ("group.tsv", "b"), ("go_mf/train.tsv", "c")):
        table(tmp_path, name, f"name\tsequence\ttarget\nA\tMK\t{target}\n")
    own, group = ({"format": "neutral", "train": name} for name in ("own.tsv", "group.tsv"))
    assert load(written(tmp_path, go_mf=own, go=group, comment="ours"), "go_mf").classes == ("a",)
    assert load(written(tmp_path, go=group), "go_mf").classes == ("b",)
    assert load(written(tmp_path), "go_mf").classes == ("c",)
    assert load(written(tmp_path, go=group), "go_bp").classes == ("b",)


@pytest.mark.parametrize("benchmark", KINDS)
def test_the_neutral_layout_of_tasks(tmp_path, benchmark):
    table(tmp_path, f"{benchmark}/train.tsv")
    table(
        tmp_path,
        f"{benchmark}/test.tsv",
        "name\tsequence\ttarget\tidentity\nC\tMA\t10\t0.3\nD\tMC\t1\t\n",
    )
    task = load(tmp_path, benchmark)
    named = {
        "regression": [[1.0, 2.0], [10.0, 1.0]],
        "multiclass": [[0, 1], [2, 0]],
        "multilabel": [[(0,), (1,)], [(2,), (0,)]],
    }
    found = {}
    for split, samples in task.splits.items():
        found[split] = [sample.target for sample in samples]
    train, test = named[task.kind]
    assert found == {"train": train, "test": test}
    assert list(task.splits) == ["train", "test"]
    assert task.classes == (() if task.kind == "regression" else ("1", "2", "10"))
    assert [s.identity for s in task.splits["test"]] == [0.3, None]


def test_the_neutral_layout_with_a_list_of_classes(tmp_path):
    table(tmp_path, "go_mf/classes.txt", "z\ny\nx\n")
    table(
        tmp_path,
        "go_mf/train.tsv",
        "name\tsequence\ttarget\tidentity\nA\tMK\tx, z\t\nB\tMV\t\t\nC\tMV\tw\t\nD\tMV\tx\t2\n",
    )
    task = load(tmp_path, "go_mf")
    assert task.classes == ("z", "y", "x")
    assert [s.target for s in task.splits["train"]] == [(0, 2), ()]
    assert [r.reason for r in task.rejects] == [
        "its target is not a class",
        "its identity is not a number from 0 to 1",
    ]


def test_the_neutral_layout_of_graphs(tmp_path):
    proteins = "name\tsequence\nA\tMK\nB\tMV\n"
    table(tmp_path, "shs27k/interactions.tsv", "a\tb\ttypes\nA\tB\tbinding\n")
    table(tmp_path, "shs27k/proteins.tsv", proteins)
    table(tmp_path, "similarity_cc/200.tsv", "a\tb\tsimilarity\nA\tB\t0.5\n")
    table(tmp_path, "similarity_cc/proteins.tsv", proteins)
    table(tmp_path, "knowledge_graph/nodes.tsv", "type\tid\tname\ngene/protein\t1\tG\ndrug\t2\tD\n")
    table(
        tmp_path,
        "knowledge_graph/edges.tsv",
        "head_type\thead\trelation\ttail_type\ttail\ndrug\t2\ttarget\tgene/protein\t1\n",
    )
    assert available(tmp_path)[0] == [*CROSS_MODAL, "similarity_cc", "shs27k"]
    assert load(tmp_path, "shs27k").names == ["A", "B"]
    assert [(t.set, t.aspect) for t in load(tmp_path, "similarity_cc")] == [("200", "CC")]
    assert len(load(tmp_path, "prot2drug").triplets) == 2


def test_one_graph_serves_its_benchmarks_until_a_file_changes(tmp_path):
    nodes = "type\tid\tname\ngene/protein\t1\tG\ndrug\t2\tD\n"
    path = table(tmp_path, "knowledge_graph/nodes.tsv", nodes)
    edges = "head_type\thead\trelation\ttail_type\ttail\ndrug\t2\ttarget\tgene/protein\t1\n"
    table(tmp_path, "knowledge_graph/edges.tsv", edges)
    graph = load(tmp_path, "prot2drug")
    assert load(tmp_path, "disease2prot") is graph
    path.write_text(nodes + "drug\t3\tE\n")
    assert [node.name for node in load(tmp_path, "prot2drug").nodes] == ["G", "D", "E"]


def test_several_files_are_one_split(tmp_path):
    for name in ("a.tsv", "b.tsv"):
        table(tmp_path, name)
    task = load(
        written(tmp_path, stability={"format": "neutral", "train": ["a.tsv", "b.tsv"]}), "stability"
    )
    assert [s.name for s in task.splits["train"]] == ["A", "B", "A", "B"]


def test_files_elsewhere_keep_their_whole_path(tmp_path):
    path = table(tmp_path / "elsewhere", "a.tsv")
    folder = tmp_path / "data"
    folder.mkdir()
    task = load(written(folder, stability={"format": "neutral", "train": str(path)}), "stability")
    assert [source.path for source in task.sources] == [str(path)]


def test_the_template_is_a_manifest_of_everything(tmp_path, capsys):
    assert main(["--data_dir", str(tmp_path), "--template"]) == 0
    entries = json.loads((tmp_path / "benchmarks.json").read_text())
    # Few-shot benchmarks take the files of others.
    names = {
        name: BENCHMARKS[own.proteins_of] if name in FEW_SHOT else own
        for name, own in BENCHMARKS.items()
    }
    assert {name for name, own in names.items() if set(own.entry_names) & entries.keys()} == set(
        BENCHMARKS
    )
    assert all(entry["comment"] for entry in entries.values())
    found, wanted = available(tmp_path)
    assert found == []
    assert all("does not exist. Wanted: " in sentence for sentence in wanted.values())
    assert main(["--data_dir", str(tmp_path), "--template"]) == 2
    assert "benchmarks.json cannot be created" in capsys.readouterr().err


def test_the_command_tells_what_is_there(miniature_folder, capsys):
    assert main(["--data_dir", str(miniature_folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["benchmark", "state", "size", "licence", "where"]
    of_aav = next(line for line in lines if line.startswith("aav "))
    assert re.fullmatch(r"aav +have +[\d.]+ kB +AFL-3.0 +github.com/J-SNACKKB/FLIP", of_aav)
    # Each benchmark has one line, and every column begins at one place.
    assert [line.split()[0] for line in lines[1 : 1 + len(BENCHMARKS)]] == list(BENCHMARKS)
    assert {line.find("have") for line in lines if " have " in line} == {lines[0].find("state")}


def test_the_table_names_what_is_missing(tmp_path, capsys):
    table(tmp_path, "here.csv", "sequence,target\nMK,1\n")
    written(
        tmp_path,
        gb1={"format": "flip", "file": "gone.csv"},
        stability={"format": "tables", "test": "here.csv"},
    )
    assert main(["--data_dir", str(tmp_path)]) == 0
    page = capsys.readouterr().out
    assert re.search(r"^gb1 +missing: gone.csv +AFL-3.0", page, re.MULTILINE)
    assert re.search(r"^variants_gb1 +missing: no entry", page, re.MULTILINE)
    assert re.search(
        rf"^stability +have +{len('sequence,target') + len('MK,1') + 2} B ", page, re.MULTILINE
    )
    assert (
        f"1 of {len(BENCHMARKS)} are here. `python -m eval.data.download NAME… --output DIR`"
        in page
    )


def test_every_format_takes_what_its_importer_takes():
    import inspect

    for name, format_ in FORMATS.items():
        parameters = set(inspect.signature(format_.read).parameters) - set(GIVEN)
        keys = {key for key in format_.keys if key not in format_.splits} | (
            {"files"} if format_.splits else set()
        )
        assert parameters == keys, name
    assert json.loads(template())
    tasks = ("localisation", "membrane", "reaction", "localisation_scl2205")
    assert {f"few_shot_{task}" for task in tasks} == FEW_SHOT

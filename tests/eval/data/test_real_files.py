"""Every file of the real data through its importer: the counts are those of the folder's own
README."""

from collections import Counter

import numpy as np
import pytest

from eval.data.base.audit import audit_task, by_reason
from eval.data.base.gathered import Gathered
from eval.data.base.rows import listed
from eval.data.base.task import INTERACTIONS, Task
from eval.data.graphs.graph import read_graph_config
from eval.data.graphs.knowledge_graph import read_hetionet_graph, read_primekg_graph
from eval.data.importers import variants
from eval.data.importers.chains import NO_SEQUENCE, chains_of
from eval.data.importers.deepfri import read_deepfri
from eval.data.importers.deeploc import MIXED, UNKNOWN_MEMBRANE, read_deeploc
from eval.data.importers.ec_table import read_ec_table
from eval.data.importers.enzyme import read_enzyme_prompts
from eval.data.importers.flip import read_flip
from eval.data.importers.go_terms import NO_TERM, read_go_terms
from eval.data.importers.interactions import read_actions
from eval.data.importers.kgsim import read_kgsim
from eval.data.importers.prompts import read_location_prompts, read_reaction_prompts
from eval.data.importers.reaction import read_functions, read_reaction
from eval.data.importers.scl2205 import read_scl2205
from eval.data.importers.sequences import read_sequences
from eval.data.importers.ses import read_ses
from eval.data.importers.similarity import NO_SEQUENCE as NO_SEQUENCE_OF_PAIR
from eval.data.importers.similarity import TWICE, WITH_ITSELF, read_similarity
from eval.data.importers.tables import read_tables
from eval.data.importers.variants import read_variant_fasta, read_variant_table
from eval.data.importers.windows import read_windows
from eval.data.published import completeness


def sizes(task):
    return {split: len(samples) for split, samples in task.splits.items()}


def rows(data):
    return [source.rows for source in data.sources]


def check(task):
    """Labels in range, and every row of the first file either used or rejected."""
    targets = [s.target for samples in task.splits.values() for s in samples]
    if task.kind == "multilabel":
        assert all(0 <= label < len(task.classes) for target in targets for label in target)
    elif task.kind == "multiclass":
        assert all(0 <= target < len(task.classes) for target in targets)
    else:
        assert np.isfinite(targets).all()
    return task


def test_deeploc(real_data):
    files = {
        "valid": [real_data / "deeploc/deeploc_our_val_set.fasta.gz"],
        "test": [real_data / "deeploc/setHARD.fasta.gz"],
    }
    task = check(read_deeploc(files, benchmark="localisation"))
    assert rows(task) == [1678, 490]
    assert (sizes(task), by_reason(task.rejects)) == ({"valid": 1655, "test": 490}, {MIXED: 23})
    assert len(task.classes) == 10
    membrane = check(read_deeploc(files, benchmark="membrane"))
    assert (sizes(membrane), by_reason(membrane.rejects)) == (
        {"valid": 1021},
        {UNKNOWN_MEMBRANE: 657 + 490},
    )
    assert Counter(s.target for s in membrane.splits["valid"]) == {0: 426, 1: 595}


@pytest.fixture(scope="session")
def ses_localisation(real_data):
    files = {"valid": [real_data / "deeploc/ses_DeepLocMulti_valid.jsonl.gz"]}
    return check(read_ses(files, benchmark="localisation", mixed="Nucleus"))


def test_ses_localisation(real_data, ses_localisation):
    assert sizes(ses_localisation) == {"valid": 1658}
    assert ses_localisation.classes == (
        *(
            "Nucleus",
            "Cytoplasm",
            "Extracellular",
            "Mitochondrion",
            "Cell membrane",
            "Endoplasmic reticulum",
        ),
        *("Plastid", "Golgi apparatus", "Lysosome/Vacuole", "Peroxisome"),
    )
    binary = check(
        read_ses(
            {"valid": [real_data / "deeploc/ses_DeepLocBinary_valid.jsonl.gz"]},
            benchmark="membrane",
        )
    )
    assert (sizes(binary), binary.classes) == ({"valid": 1009}, ("membrane", "soluble"))


def test_both_sources_of_deeploc_agree_on_every_protein(real_data, ses_localisation):
    path = real_data / "deeploc/deeploc_our_val_set.fasta.gz"
    fasta = read_deeploc({"valid": [path]}, benchmark="localisation", mixed="Nucleus")
    named = {s.name: fasta.classes[s.target] for s in fasta.splits["valid"]}
    for sample in ses_localisation.splits["valid"]:
        assert named[sample.name] == ses_localisation.classes[sample.target]


@pytest.mark.parametrize(
    ("name", "benchmark", "count", "classes"),
    [
        ("deepfri_ec/ses_EC_valid", "ec", 1465, 585),
        ("deepfri_go/ses_MF_valid", "go_mf", 2432, 489),
        ("deepfri_go/ses_BP_valid", "go_bp", 2334, 1943),
        ("deepfri_go/ses_CC_valid", "go_cc", 1092, 320),
        ("thermostability/ses_Thermostability_valid", "thermostability", 639, 0),
    ],
)
def test_ses_of_the_other_benchmarks(real_data, name, benchmark, count, classes):
    task = check(read_ses({"valid": [real_data / f"{name}.jsonl.gz"]}, benchmark=benchmark))
    assert (sizes(task), len(task.classes), task.rejects) == ({"valid": count}, classes, [])


@pytest.fixture(scope="session")
def chain_files(real_data):
    """All files there that have sequences of PDB chains."""
    own = [
        real_data / "deepfri_ec/nrPDB-EC_2020.04_test_sequences.fasta.gz",
        real_data / "deepfri_ec/ses_EC_valid.jsonl.gz",
    ]
    return own + [
        real_data / f"deepfri_go/ses_{aspect}_valid.jsonl.gz" for aspect in ("MF", "BP", "CC")
    ]


def test_deepfri_ec(real_data, chain_files):
    folder = real_data / "deepfri_ec"
    files = {
        "train": [folder / "nrPDB-EC_2020.04_train.txt.gz"],
        "valid": [folder / "nrPDB-EC_2020.04_valid.txt.gz"],
        "test": [folder / "nrPDB-EC_2020.04_test.csv.gz"],
    }
    annotations = folder / "nrPDB-EC_2020.04_annot.tsv.gz"
    task = check(
        read_deepfri(files, benchmark="ec", annotations=annotations, sequences=chain_files)
    )
    assert rows(task)[:5] == [15551, 1729, 1388, 18670, 1389]
    assert len(task.classes) == 538
    assert sizes(task) == {"train": 1693, "valid": 178, "test": 1388}
    assert by_reason(task.rejects) == {NO_SEQUENCE: 15551 - 1693 + 1729 - 178}
    assert Counter(s.identity for s in task.splits["test"]) == {
        0.3: 526,
        0.4: 123,
        0.5: 147,
        0.7: 264,
        0.95: 328,
    }
    assert audit_task(task)["unlabelled"] == {"train": 0, "valid": 0, "test": 0}


def test_reaction(real_data, chain_files):
    folder = real_data / "reaction_ec"
    files = {"train": [folder / "training.txt.gz"], "valid": [folder / "validation.txt.gz"]}
    named = {
        "functions": folder / "chain_functions.txt.gz",
        "classes": folder / "unique_functions.txt.gz",
    }
    task = check(read_reaction(files, benchmark="reaction", sequences=chain_files, **named))
    assert rows(task)[:4] == [384, 31777, 29215, 2562]
    assert (len(task.classes), sizes(task)) == (384, {"train": 1186, "valid": 87})
    assert by_reason(task.rejects) == {NO_SEQUENCE: 29215 - 1186 + 2562 - 87}


@pytest.mark.parametrize(("split", "count"), [("train", 29902), ("valid", 3323)])
def test_go_lists_are_lists_of_chains(real_data, split, count):
    path = real_data / f"deepfri_go/nrPDB-GO_2019.06.18_{split}.txt.gz"
    gathered = Gathered()
    chains = chains_of(
        path, ((line, text, None) for line, text in listed(path, gathered)), gathered
    )
    assert (len(chains), len({chain.id for chain in chains}), gathered.rejects) == (
        count,
        count,
        [],
    )


@pytest.mark.parametrize(
    ("name", "benchmark", "expected"),
    [
        ("thermostability/flip_meltome_full_task.csv.gz", "thermostability", {"train": 3435}),
        (
            "thermostability/flip_meltome_clustered_task.csv.gz",
            "thermostability",
            {"train": 1988, "test": 1002},
        ),
        (
            "flip_format/flip_gb1_two_vs_rest.csv.gz",
            "aav",
            {"train": 381, "valid": 43, "test": 8309},
        ),
        ("flip_format/flip_gb1_two_vs_rest.first200.fasta", "aav", {"train": 183, "valid": 17}),
    ],
)
def test_flip(real_data, name, benchmark, expected):
    task = check(read_flip(real_data / name, benchmark=benchmark))
    assert (sizes(task), task.rejects) == (expected, [])


def test_aav(real_data):
    given = {"reference": real_data / "aav/P03135.fasta", "train_substitutions": 2}
    task = check(
        read_windows(real_data / "aav/ggs_aav_ground_truth.csv.gz", benchmark="aav", **given)
    )
    assert rows(task) == [1, 33178]
    assert (sizes(task), task.rejects) == ({"train": 1 + 808 + 8393, "test": 33178 - 9202}, [])
    assert {len(s.sequence) for s in task.splits["train"]} == {735}
    wild_type = "DEEEIRTTNPVATEQYGSVSTNLQRGNR"
    assert [s.target for s in task.splits["train"] if wild_type in s.sequence] == [
        9.081806289307051
    ]


def test_beta_lactamase(real_data):
    task = check(
        read_variant_fasta(real_data / "beta_lactamase/P62593.fasta.gz", benchmark="beta_lactamase")
    )
    assert (rows(task), sizes(task), by_reason(task.rejects)) == (
        [4088],
        {"train": 3939},
        {variants.SYNONYMOUS: 149},
    )
    assert {len(s.sequence) for s in task.splits["train"]} == {286}


def test_fluorescence_in_both_forms(real_data):
    """TAPE's sequences are the variants' with the letter of a stop codon deleted; all its rows
    are among them."""
    folder = real_data / "fluorescence"
    given = {"wild_type": folder / "avgfp_wt.txt", "first_position": 0, "benchmark": "fluorescence"}
    both = check(read_variant_table(folder / "avgfp_variants.tsv.gz", stop="delete", **given))
    assert (rows(both), sizes(both), both.rejects) == ([1, 52688], {"train": 52688}, [])
    assert sum("*" in s.name for s in both.splits["train"]) == 2310
    tape = check(
        read_tables(
            {"valid": [folder / "tape_fluorescence.valid.csv.gz"]}, benchmark="fluorescence"
        )
    )
    assert sizes(tape) == {"valid": 3996}
    scores = {s.sequence: s.target for s in both.splits["train"]}
    assert max(abs(scores[s.sequence] - s.target) for s in tape.splits["valid"]) < 1e-6
    assert Counter(len(s.sequence) for s in tape.splits["valid"]) == {237: 3899, 236: 96, 235: 1}


def test_stability(real_data):
    files = {
        split: [real_data / f"stability/tape_stability.{split}.csv.gz"]
        for split in ("train", "valid")
    }
    task = check(read_tables(files, benchmark="stability"))
    assert (sizes(task), task.rejects) == ({"train": 53614, "valid": 2512}, [])
    assert audit_task(task)["duplicates"] == {"train": 43, "valid": 0}


def test_shs27k(real_data):
    names = [
        real_data / f"ppi/protein.{name}.sequences.dictionary.tsv.gz"
        for name in ("SHS27k", "SHS148k")
    ]
    graph = read_actions(
        real_data / "ppi/protein.actions.SHS27k.STRING.txt.gz", sequences=names[:1]
    )
    assert (rows(graph), len(graph.names), graph.edges.shape, graph.rejects) == (
        [63408, 1690],
        1690,
        (7624, 2),
        [],
    )
    assert (graph.edges[:, 0] < graph.edges[:, 1]).all()
    counts = dict(zip(INTERACTIONS, graph.labels.sum(0).tolist(), strict=True))
    # Modes of unordered pairs, counted with awk and sort -u from the file.
    assert counts == {
        **{"reaction": 3164, "binding": 4017, "ptmod": 1303, "activation": 3297},
        **{"inhibition": 1407, "catalysis": 3492, "expression": 687},
    }
    larger = Gathered()
    assert set(graph.names) <= set(read_sequences(names[1:], larger, wanted=set(graph.names)))
    assert larger.sources[0].rows == 5189


def test_primekg(real_data):
    folder = real_data / "primekg"
    contents = {"disease": [folder / "kg_grouped_diseases.csv.gz"]}
    config = folder / "biobridge_data_config.json"
    graph = read_primekg_graph(folder / "val_edges.csv.gz", config=config, contents=contents)
    assert rows(graph) == [7696, 22205]
    assert len(graph.triplets) == 2 * (7696 - 1176 // 2)
    relations = Counter(graph.relation_types[relation] for relation in graph.triplets[:, 1])
    assert set(relations) == {"target", "enzyme", "transporter", "carrier"}
    assert (len(graph.node_types), len(graph.relation_types)) == (10, 18)
    assert graph.node_types.index("gene/protein") == 1
    released = read_graph_config(folder / "protclip_KGdata_config.json")
    assert released == (graph.node_types, graph.relation_types)


def test_hetionet(real_data):
    folder = real_data / "hetionet"
    annotations = [folder / "GO_annotations-9606-direct-expev.tsv.gz"]
    given = {"metaedges": folder / "metaedges.tsv", "annotations": annotations}
    graph = read_hetionet_graph(folder / "nodes.tsv.gz", folder / "edges-5k.sif.gz", **given)
    assert rows(graph) == [47031, 24, 74508, 8499]
    assert graph.rejects == []
    names = [graph.node_types[node.type] for node in graph.nodes]
    ends = Counter(frozenset((names[head], names[tail])) for head, _, tail in graph.triplets)
    assert ends[frozenset(("gene/protein", "disease"))] >= 2 * 3715
    assert ends[frozenset(("gene/protein", "biological_process"))] >= 2 * 3717
    reverse = graph.triplets[:, ::-1]
    assert np.array_equal(np.unique(reverse, axis=0), graph.triplets)


def test_probe_coordinates(real_data, tmp_path):
    """The matrices are not at hand: here they are made up, of the documented sizes."""
    for aspect, count, pairs in (("MF", 497, 247), ("BP", 497, 247), ("CC", 495, 245)):
        names = [f"P{number:05}" for number in range(count)]
        values = np.random.default_rng(0).random((count, count)).round(3)
        symmetric = np.maximum(values, values.T)
        matrix, fasta = tmp_path / "matrix.csv", tmp_path / "human.fasta"
        matrix.write_text(
            "\n".join([",".join(names), *(",".join(map(str, row)) for row in symmetric)]) + "\n"
        )
        fasta.write_text("".join(f">sp|{name}|X_HUMAN\nMK\n" for name in names))
        coordinates = (
            real_data / f"probe/SparsifiedSimilarityCoordinates_{aspect}_for_highest_500.npy"
        )
        given = {
            "benchmark": f"similarity_{aspect.lower()}",
            "sequences": [fasta],
            "coordinates": coordinates,
        }
        full, sparse = read_similarity({"500": matrix}, **given)
        assert (len(full.pairs), len(sparse.pairs), sparse.rejects) == (
            count * (count - 1) // 2,
            pairs,
            [],
        )
        assert (
            (sparse.pairs[:, 0] == sparse.pairs[:, 1]).sum()
            == len(sparse.notes)
            == (aspect == "MF")
        )
        rows_, columns = np.load(coordinates)[5]
        position = np.flatnonzero((sparse.pairs == sorted((rows_, columns))).all(1))
        assert sparse.similarity[position] == symmetric[rows_, columns]


def test_prompts(real_data, ses_localisation):
    for name in ("language", "template"):
        prompts = read_location_prompts(
            real_data / f"deeploc/protst_subloc_{name}.tsv", ses_localisation.classes
        )
        assert list(prompts) == list(ses_localisation.classes)
        assert all(key.lower() in text[0].lower() for key, text in prompts.items())
    functions = real_data / "reaction_ec/unique_functions.txt.gz"
    classes = read_functions(functions, Gathered())
    assert len(classes) == 384
    for name in ("name", "language", "template", "description"):
        prompts = read_reaction_prompts(
            real_data / f"reaction_ec/protst_reaction_{name}.tsv.gz", functions, classes
        )
        assert list(prompts) == classes
    assert prompts["4.2.1.10"] == ["3-dehydroquinate dehydratase."]


def test_enzyme(real_data):
    folder = real_data / "reaction_ec"
    numbers = tuple(read_functions(folder / "unique_functions.txt.gz", Gathered()))
    task = Task("zero_shot_reaction", "multiclass", numbers, {}, [], [])
    read = read_enzyme_prompts(
        task, file=folder / "expasy_enzyme.dat.gz", classes=folder / "expasy_enzclass.txt.gz"
    )
    # The second by `zgrep -c '^[0-9]'` of the file.
    assert [source.rows for source in read.sources] == [8212, 407]
    prompts = read.prompts["ENZYME as function"]
    assert prompts["4.2.1.10"] == ["FUNCTION: 3-dehydroquinate dehydratase."]
    # Transferred to 7.1.2.2; deleted.
    assert prompts["3.6.1.34"] == ["FUNCTION: H(+)-transporting two-sector ATPase."]
    assert prompts["3.6.1.3"] == ["FUNCTION: In phosphorus-containing anhydrides."]
    assert read.notes == (
        "12 withdrawn EC numbers use the prompts of their successors or of their class.",
    )


@pytest.fixture(scope="session")
def bench(real_data):
    """Further public benchmarks, each with its own files."""
    folder = real_data / "real/bench"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder


def test_tape_fluorescence(real_data, bench):
    """The sizes are TAPE's but for the validation rows that are not at hand."""
    files = {split: [bench / f"tape_fluorescence.{split}.csv.gz"] for split in ("train", "test")}
    files["valid"] = [real_data / "fluorescence/tape_fluorescence.valid.csv.gz"]
    task = check(read_tables(files, benchmark="fluorescence"))
    assert (sizes(task), task.rejects) == ({"train": 21446, "test": 27217, "valid": 3996}, [])
    published = completeness("fluorescence", sizes(task))
    assert published.whole is False
    assert "valid 3,996 instead of 5,362" in published.sentence
    # TAPE trains on at most three substitutions and tests on more.
    wild_type = (real_data / "fluorescence/avgfp_wt.txt").read_text().strip()
    for split, allowed in (("train", range(4)), ("test", range(4, 20))):
        whole = [s.sequence for s in task.splits[split] if len(s.sequence) == len(wild_type)]
        assert {sum(map(str.__ne__, sequence, wild_type)) for sequence in whole} <= set(allowed)


def test_scl2205(bench):
    files = {split: [bench / f"scl2205.{split}.csv.gz"] for split in ("train", "valid")}
    task = check(
        read_scl2205(files, benchmark="localisation_scl2205", labels=bench / "scl2205.labels.json")
    )
    assert (sizes(task), len(task.classes), task.rejects) == ({"train": 9968, "valid": 854}, 13, [])
    # By `zcat scl2205.train.csv.gz | cut -d, -f3 | sort | uniq -c`.
    counts = Counter(task.classes[s.target] for s in task.splits["train"])
    assert (
        counts["Membrane"],
        counts["Nucleus"],
        counts["Peroxisome"],
        counts["Cytoplasm;Nucleus"],
    ) == (2545, 1997, 73, 1199)


def test_swissmodel_ec(bench):
    files = {split: [bench / f"swissmodel_ec.{split}.tsv.gz"] for split in ("train", "valid")}
    every = check(read_ec_table(files, benchmark="ec_swissmodel", min_chains=1))
    assert rows(every) == [20000, 2000]
    assert sizes(every)["train"] == 20000
    task = check(read_ec_table(files, benchmark="ec_swissmodel"))
    counts = Counter(label for s in every.splits["train"] for label in s.target)
    assert len(task.classes) == sum(count >= 10 for count in counts.values())
    assert audit_task(task)["unlabelled"] == {"train": 0, "valid": 0}


@pytest.mark.parametrize(
    ("name", "annotated"), [("go_2014_mf", 6504), ("go_2014_bp", 7004), ("go_2014_cc", 6325)]
)
def test_go_terms(bench, name, annotated):
    given = {
        "sequences": [bench / "kgsim_sequences.fasta.gz"],
        "names": bench / "go_names_2014.tsv.gz",
    }
    task = check(
        read_go_terms(bench / "go_terms_2014.dev.tsv.gz", benchmark=name, min_proteins=1, **given)
    )
    assert sorted(rows(task)) == [18595, 40414 + 1, 43133]
    assert sizes(task) == {"train": annotated}
    assert by_reason(task.rejects)[NO_TERM] < 43133 - annotated
    assert all(" " in name for name in task.classes)


@pytest.mark.parametrize(
    ("kind", "species", "pairs", "rejects"),
    [
        ("MF", "EC3", 1332, {}),
        ("MF", "SC3", 29265, {TWICE: 3}),
        ("PPI", "DM3", 200, {}),
        ("PPI", "HS3", 29672, {WITH_ITSELF: 148}),
    ],
)
def test_kgsim(bench, kind, species, pairs, rejects):
    benchmark = "similarity_kgsim" if kind == "MF" else "similarity_kgsim_ppi"
    files = {species: bench / f"kgsim_{kind}_{species}.csv.gz"}
    (table,) = read_kgsim(
        files, benchmark=benchmark, sequences=[bench / "kgsim_sequences.fasta.gz"]
    )
    assert sorted(rows(table)) == sorted([pairs, 18595])
    found = by_reason(table.rejects)
    assert found.pop(NO_SEQUENCE_OF_PAIR) > 0
    assert found == rejects
    assert 0 < len(table.pairs) < pairs
    if kind == "PPI":
        assert set(table.similarity) == {0.0, 1.0}

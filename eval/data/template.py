"""A manifest to start from: every benchmark by the files of the paper's protocols, under their usual names."""

import json
from collections.abc import Sequence

from eval.data.base.benchmarks import GROUPS, WANTED


def template() -> str:
    """The text of a `benchmarks.json` with an entry for each benchmark or group; comments say where its files come from."""
    entries = {}
    for name, entry in _entries().items():
        members = [benchmark for benchmark, group in GROUPS.items() if group == name] or [name]
        entries[name] = {"comment": WANTED[members[0]]} | entry
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def _entries() -> dict[str, dict]:
    deeploc = {
        "format": "deeploc_fasta",
        "train": "deeploc/deeploc_our_train_set.fasta",
        "valid": "deeploc/deeploc_our_val_set.fasta",
        "test": "deeploc/deeploc_test_set.fasta",
    }
    regressions = {
        name: {"format": "tables"} | {split: f"{name}/{name}_{split}.csv" for split in ("train", "valid", "test")}
        for name in ("beta_lactamase", "fluorescence", "stability")
    }
    interactions = {
        name.lower(): {
            "format": "string_actions",
            "actions": f"ppi/protein.actions.{name}.STRING.txt",
            "sequences": f"ppi/protein.{name}.sequences.dictionary.tsv",
        }
        for name in ("SHS27k", "SHS148k")
    }
    return {
        "localisation": deeploc | {"mixed": "reject"},
        "membrane": deeploc,
        "ec": _deepfri("nrPDB-EC_2020.04", ["pdb_seqres.txt"]),
        "go": _deepfri("nrPDB-GO_2019.06.18", ["deepfri/nrPDB-GO_2019.06.18_sequences.fasta"]),
        "reaction": {
            "format": "ieconv",
            "functions": "ieconv/chain_functions.txt",
            "classes": "ieconv/unique_functions.txt",
            "train": "ieconv/training.txt",
            "valid": "ieconv/validation.txt",
            "test": "ieconv/testing.txt",
            "sequences": ["pdb_seqres.txt"],
        },
        **regressions,
        "aav": {"format": "flip", "file": "flip/aav/two_vs_many.csv"},
        "thermostability": {"format": "flip", "file": "flip/meltome/human_cell.csv"},
        "knowledge_graph": {
            "format": "primekg",
            "edges": "primekg/kg.csv",
            "config": "primekg/data_config.json",
            "contents": {
                "gene/protein": "primekg/protein.csv",
                "biological_process": "primekg/biological.csv",
                "molecular_function": "primekg/molecular.csv",
                "cellular_component": "primekg/cellular.csv",
                "disease": "primekg/disease.csv",
            },
            "vectors": {"drug": {"file": "primekg/drug.npz", "source": "say who made the drug embeddings"}},
        },
        **{f"similarity_{aspect.lower()}": _similarity(aspect) for aspect in ("MF", "BP", "CC")},
        **interactions,
        "zero_shot_localisation": _prompts("subloc", ("template", "language"), columns=["name", "description"]),
        "zero_shot_reaction": _prompts("reaction", ("template", "language", "name"), functions="ieconv/unique_functions.txt"),
        "string": {
            "format": "string_actions",
            "actions": "ppi/9606.protein.actions.v11.0.txt.gz",
            "sequences": "ppi/9606.protein.sequences.v11.0.fa.gz",
        },
    }


def _prompts(task: str, tables: Sequence[str], **others: object) -> dict:
    return {"format": "protst_prompts", "tables": {name: f"protst/protst_{task}_{name}.tsv" for name in tables}} | others


def _deepfri(release: str, sequences: list[str]) -> dict:
    return {
        "format": "deepfri",
        "annotations": f"deepfri/{release}_annot.tsv",
        "train": f"deepfri/{release}_train.txt",
        "valid": f"deepfri/{release}_valid.txt",
        "test": f"deepfri/{release}_test.csv",
        "sequences": sequences,
    }


def _similarity(aspect: str) -> dict:
    matrix = f"probe/human_{aspect}_proteinSimilarityMatrix_for_highest_annotated_{{}}_proteins.csv"
    return {
        "format": "probe",
        "matrices": {size: matrix.format(size) for size in ("500", "200")},
        "coordinates": f"probe/SparsifiedSimilarityCoordinates_{aspect}_for_highest_500.npy",
        "sequences": "probe/human_proteins.fasta",
    }

"""Small files of every benchmark in the formats in which it is really distributed, with their
manifest.

What is to be predicted depends on the amino-acid composition, so that a probe on any sensible
embedding learns it: every class, term or group favours a residue of its own, and every number is
the mean of a scale over the residues, with a little noise.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
SCALE = dict(zip(RESIDUES, np.linspace(-1, 1, len(RESIDUES)), strict=True))
LOCATIONS = (
    *(
        "Nucleus",
        "Cytoplasm",
        "Extracellular",
        "Mitochondrion",
        "Cell.membrane",
        "Endoplasmic.reticulum",
        "Plastid",
    ),
    *("Golgi.apparatus", "Lysosome/Vacuole", "Peroxisome"),
)
EC_NUMBERS = ("3.4.21.-", "1.1.1.1", "2.7.7.19", "4.2.1.1", "5.4.99.-", "6.5.1.1")
REACTIONS = ("4.2.1.10", "6.5.1.1", "4.2.3.1", "2.7.7.48")
ONTOLOGIES = {"molecular_function": 3, "biological_process": 4, "cellular_component": 5}
GROUPS = 5
MODES = ("reaction", "binding", "ptmod", "activation", "inhibition", "catalysis", "expression")
SIZES = {"train": 12, "valid": 4, "test": 4}
"""Proteins of a class in each split."""


def write(folder: Path, *, seed: int = 0) -> Path:
    """Writes all files and `benchmarks.json` into the folder, which is returned; the same files
    for the same seed."""
    rng = np.random.default_rng(seed)
    makers = (
        deeploc,
        deepfri,
        ieconv,
        beta_lactamase,
        aav,
        thermostability,
        fluorescence,
        stability,
    )
    entries = {}
    makers += (knowledge_graph, similarity, interactions, gb1, proteingym, variants)
    for maker in (*makers, scl2205, swissmodel_ec, go_2014, kgsim):
        own = folder / maker.__name__
        own.mkdir(parents=True)
        entries |= {name: _inside(maker.__name__, entry) for name, entry in maker(own, rng).items()}
    (folder / "benchmarks.json").write_text(json.dumps(entries, indent=1))
    return folder


def _inside(name: str, value):
    """An entry whose files (written `./file`) are those of a folder."""
    if isinstance(value, str):
        return f"{name}/{value[2:]}" if value.startswith("./") else value
    if isinstance(value, dict):
        return {key: _inside(name, part) for key, part in value.items()}
    return [_inside(name, part) for part in value] if isinstance(value, list) else value


def protein(rng: np.random.Generator, favoured: Sequence[int], length: int | None = None) -> str:
    """A random protein, every other residue of which is a favoured one (places in `RESIDUES`)."""
    length = length or int(rng.integers(30, 60))
    letters = rng.integers(len(RESIDUES), size=length)
    if favoured:
        letters = np.where(rng.random(length) < 0.5, rng.choice(favoured, size=length), letters)
    return "M" + "".join(RESIDUES[letter] for letter in letters)


def composition_mean(sequence: str) -> float:
    """The mean of `SCALE` over the residues."""
    return float(np.mean([SCALE[residue] for residue in sequence]))


def _lines_of_60(text: str) -> str:
    return "".join(f"{text[i : i + 60]}\n" for i in range(0, len(text), 60))


def fasta(path: Path, records: Sequence[tuple[str, str]]) -> None:
    """FASTA with lines of 60."""
    lines = [f">{header}\n{_lines_of_60(text)}" for header, text in records]
    path.write_text("".join(lines))


def table(
    path: Path, rows: Sequence[Sequence[object]], *, separator: str = ",", end: str = "\n"
) -> None:
    """A table without quotation marks."""
    path.write_text("".join(separator.join(map(str, row)) + end for row in rows), newline="")


def deeploc(folder: Path, rng) -> dict:
    entry = {"format": "deeploc_fasta"}
    for split, count in SIZES.items():
        records = []
        for position, location in enumerate(LOCATIONS):
            for number in range(count):
                membrane = "U" if number == 3 else "MS"[position % 2]
                records.append(
                    (
                        f"{split[0].upper()}{position}{number:04} {location}-{membrane}",
                        protein(rng, [position]),
                    )
                )
        records.append((f"{split[0].upper()}90000 Cytoplasm-Nucleus-U", protein(rng, [0, 1])))
        fasta(folder / f"{split}.fasta", records)
        entry[split] = f"./{split}.fasta"
    names = [location.replace(".", " ") for location in LOCATIONS]
    prompts = [
        (i, f"A protein locating at {name}", f"{name}, at length")
        for i, name in enumerate(sorted(names))
    ]
    table(
        folder / "protst_subloc.tsv",
        [("id", "name", "description"), *prompts],
        separator="\t",
        end="\r\n",
    )
    zero_shot = {
        "format": "protst_prompts",
        "tables": {"template": "./protst_subloc.tsv"},
        "columns": ["name", "description"],
    }
    return {
        "localisation": entry | {"mixed": "reject"},
        "membrane": entry,
        "zero_shot_localisation": zero_shot,
    }


def _chains(prefix: int, count: int) -> Iterator[str]:
    for number in range(count):
        yield f"{prefix}{number:03X}-{'AB'[number % 2]}"


def _go_ids() -> dict[str, list[str]]:
    """The terms of each ontology."""
    terms = {}
    for name, count in ONTOLOGIES.items():
        terms[name] = [f"GO:{1000 * count + i:07}" for i in range(count)]
    return terms


def deepfri(folder: Path, rng) -> dict:
    ec = _annotated(folder, rng, "EC", 1, [("EC-numbers", EC_NUMBERS, None)])
    heads = []
    for name, ids in _go_ids().items():
        heads.append((f"GO-terms ({name})", ids, [f"{name} {i}" for i in range(len(ids))]))
    return {"ec": ec, "go": _annotated(folder, rng, "GO", 2, heads)}


def _annotated(folder: Path, rng, name: str, prefix: int, heads: list) -> dict:
    """DeepFRI's files: labels of column k favour the residues from 6·k on; a chain may have none
    in a column of several."""
    lines = []
    for column, ids, names in heads:
        lines += [f"### {column}", "\t".join(ids)]
        lines += [f"### {column.replace('terms', 'names')}", "\t".join(names)] if names else []
    lines.append("\t".join(["### PDB-chain", *(column for column, _, _ in heads)]))
    chains = list(_chains(prefix, 6 * sum(SIZES.values())))
    sequences = {}
    for number, chain in enumerate(chains):
        cells, favoured = [], []
        for position, (_, ids, _) in enumerate(heads):
            count = 1 + number % 2 if len(heads) == 1 or number % 5 else 0
            chosen = sorted(rng.choice(len(ids), size=min(count, len(ids)), replace=False))
            cells.append(",".join(ids[label] for label in chosen))
            favoured += [6 * position + int(label) for label in chosen]
        lines.append("\t".join([chain, *cells]))
        sequences[chain] = protein(rng, favoured)
    table(folder / f"nrPDB-{name}_annot.tsv", [[line] for line in lines], end="\r\n")
    start = 0
    for split, count in SIZES.items():
        members, start = chains[start : start + 6 * count], start + 6 * count
        if split == "test":
            bounds = []
            for number in range(len(members)):
                bounds.append([int(number % 6 <= column) for column in range(5)])
            rows = [("PDB-chain", "<30%", "<40%", "<50%", "<70%", "<95%")]
            rows += [(chain, *bound) for chain, bound in zip(members, bounds, strict=True)]
            table(folder / f"nrPDB-{name}_test.csv", rows, end="\r\n")
        else:
            table(folder / f"nrPDB-{name}_{split}.txt", [[chain] for chain in members])
    fasta(
        folder / f"nrPDB-{name}_sequences.fasta",
        [(f"{chain} nrPDB", text) for chain, text in sequences.items()],
    )
    files = {
        split: f"./nrPDB-{name}_{split}.{'csv' if split == 'test' else 'txt'}" for split in SIZES
    }
    named = {
        "annotations": f"./nrPDB-{name}_annot.tsv",
        "sequences": [f"./nrPDB-{name}_sequences.fasta"],
    }
    return {"format": "deepfri"} | files | named


def ieconv(folder: Path, rng) -> dict:
    functions, records = [], []
    names = {"train": "training", "valid": "validation", "test": "testing"}
    for split, count in SIZES.items():
        chains = []
        for number in range(count * len(REACTIONS)):
            label, entry = number % len(REACTIONS), f"{3 + list(SIZES).index(split)}a{number:02}"
            chains.append([f"{entry}.A"])
            functions.append((f"{entry}.A", label))
            text = protein(rng, [label])
            records.append((f"{entry}_A mol:protein length:{len(text)}  A PROTEIN", text))
        table(folder / f"{names[split]}.txt", chains)
    table(folder / "chain_functions.txt", functions)
    table(folder / "unique_functions.txt", [[number] for number in REACTIONS])
    fasta(folder / "pdb_seqres.txt", records)
    prompts = [(i, number, f"enzyme {number}", "") for i, number in enumerate(REACTIONS)]
    table(
        folder / "protst_reaction.tsv",
        [("id", "EC_number", "name", "comment"), *prompts],
        separator="\t",
    )
    files = {
        "functions": "./chain_functions.txt",
        "classes": "./unique_functions.txt",
        "sequences": ["./pdb_seqres.txt"],
    }
    zero_shot = {
        "format": "protst_prompts",
        "tables": {"name": "./protst_reaction.tsv"},
        "functions": "./unique_functions.txt",
    }
    reaction = (
        {"format": "ieconv"} | {split: f"./{name}.txt" for split, name in names.items()} | files
    )
    return {"reaction": reaction, "zero_shot_reaction": zero_shot}


def beta_lactamase(folder: Path, rng) -> dict:
    """Every fourth of the 19 substitutions of each residue, and one that changes nothing at
    every fifth."""
    wild_type, records = protein(rng, [], 60), []
    for position, own in enumerate(wild_type):
        kept = [residue for residue in RESIDUES if residue != own][position % 4 :: 4] + [own] * (
            position % 5 == 0
        )
        for residue in kept:
            effect = 1 + SCALE[residue] - SCALE[own] + 0.05 * rng.normal()
            header = f"{len(records)}|beta-lactamase_{own}{position + 1}{residue}|{effect:.6f}"
            records.append((header, wild_type[:position] + residue + wild_type[position + 1 :]))
    fasta(folder / "P62593.fasta", records)
    return {"beta_lactamase": {"format": "variant_fasta", "file": "./P62593.fasta"}}


def _substituted(rng, wild_type: str, count: int) -> list[tuple[int, str]]:
    positions = sorted(rng.choice(len(wild_type), size=count, replace=False))
    substituted = []
    for position in positions:
        letters = [residue for residue in RESIDUES if residue != wild_type[position]]
        substituted.append((int(position), str(rng.choice(letters))))
    return substituted


def aav(folder: Path, rng) -> dict:
    """Windows of 10 residues from the 21st on, as FLIP's two_vs_many divides them."""
    reference = protein(rng, [], 50)
    wild_type, rows = reference[20:30], []
    for number in range(120):
        window = list(wild_type)
        for position, residue in _substituted(rng, wild_type, 1 + number % 4):
            window[position] = residue
        rows.append(
            ("".join(window), f"{10 * composition_mean(''.join(window)) + 0.1 * rng.normal():.5f}")
        )
    table(folder / "ground_truth.csv", [("sequence", "score"), *rows])
    fasta(folder / "reference.fasta", [("sp|P03135|CAPSD_AAV2S Capsid protein VP1", reference)])
    files = {"file": "./ground_truth.csv", "reference": "./reference.fasta"}
    return {"aav": {"format": "windows", "window": [21, 30], "train_substitutions": 2} | files}


def _measured(rng, count: int) -> Iterator[tuple[str, float]]:
    for _ in range(count):
        sequence = protein(rng, [int(rng.integers(len(RESIDUES)))])
        yield sequence, composition_mean(sequence) + 0.02 * rng.normal()


def thermostability(folder: Path, rng) -> dict:
    sets = [("train", "")] * 80 + [("train", "True")] * 20 + [("test", "")] * 30
    rows = [
        (sequence, f"{50 + 10 * value:.4f}", *kind)
        for (sequence, value), kind in zip(_measured(rng, len(sets)), sets, strict=True)
    ]
    table(folder / "human_cell.csv", [("sequence", "target", "set", "validation"), *rows])
    return {"thermostability": {"format": "flip", "file": "./human_cell.csv"}}


def fluorescence(folder: Path, rng) -> dict:
    """Variants with 0-based positions; every fifteenth has a stop codon."""
    wild_type, rows = protein(rng, [], 60), []
    for number in range(150):
        changes = _substituted(rng, wild_type, 1 + number % 5)
        score = (
            3
            + sum(SCALE[residue] - SCALE[wild_type[position]] for position, residue in changes)
            + 0.05 * rng.normal()
        )
        names = [
            f"{wild_type[position]}{position}{'*' if number % 15 == 14 else residue}"
            for position, residue in changes
        ]
        rows.append((",".join(names), len(changes), f"{score:.5f}", f"{score - 3:.5f}"))
    table(
        folder / "avgfp.tsv",
        [("variant", "num_mutations", "score", "score_wt_norm"), *rows],
        separator="\t",
    )
    (folder / "wild_type.txt").write_text(wild_type + "\n")
    files = {"file": "./avgfp.tsv", "wild_type": "./wild_type.txt"}
    return {
        "fluorescence": {"format": "variant_table", "first_position": 0, "stop": "reject"} | files
    }


def stability(folder: Path, rng) -> dict:
    for split, count in SIZES.items():
        rows = [(sequence, f"{value:.5f}") for sequence, value in _measured(rng, 8 * count)]
        table(folder / f"stability.{split}.csv", [("seq", "label"), *rows])
    return {
        "stability": {"format": "tables"} | {split: f"./stability.{split}.csv" for split in SIZES}
    }


def knowledge_graph(folder: Path, rng) -> dict:
    """PrimeKG: genes, terms, drugs and diseases of five groups; what is related is of one group,
    four times out of five."""
    kinds = {
        "biological_process": "GO",
        "molecular_function": "GO",
        "cellular_component": "GO",
        "drug": "DrugBank",
    }
    kinds |= {"disease": "MONDO"}
    genes = [
        (index, 1000 + index, "gene/protein", f"GENE{index}", "NCBI", index % GROUPS)
        for index in range(60)
    ]
    others = [
        (
            100 * (1 + k) + i,
            f"{type_[:2].upper()}{i}",
            type_,
            f"{type_} of group {i % GROUPS} number {i}",
            source,
            i % GROUPS,
        )
        for k, (type_, source) in enumerate(kinds.items())
        for i in range(15)
    ]
    edges = []
    for gene in genes:
        for other in others:
            if rng.random() < (0.4 if gene[5] == other[5] else 0.025):
                display = {"drug": "target", "disease": "associated with"}.get(
                    other[2], "interacts with"
                )
                relation = f"{other[2]}_protein"
                edges += [
                    (relation, display, *gene[:5], *other[:5]),
                    (relation, display, *other[:5], *gene[:5]),
                ]
    edges.append(
        (
            "anatomy_protein_present",
            "expression present",
            *genes[0][:5],
            999,
            "UB1",
            "anatomy",
            "lung",
            "UBERON",
        )
    )
    parts = ("index", "id", "type", "name", "source")
    header = ["relation", "display_relation", *(f"{end}_{part}" for end in "xy" for part in parts)]
    table(folder / "kg.csv", [header, *edges])
    rows = [(*gene[:5], protein(rng, [gene[5]])) for gene in genes]
    table(
        folder / "protein.csv",
        [("node_index", "node_id", "node_type", "node_name", "node_source", "sequence"), *rows],
    )
    rows = [(n[0], n[1], n[3], f"Of the group {n[5]}") for n in others if n[2] == "disease"]
    table(folder / "disease.csv", [("node_index", "mondo_id", "mondo_name", "definition"), *rows])
    drugs = [other for other in others if other[2] == "drug"]
    vectors = np.array(
        [np.eye(8)[drug[5]] + 0.1 * rng.normal(size=8) for drug in drugs], np.float32
    )
    np.savez(folder / "drug.npz", ids=np.array([drug[1] for drug in drugs]), vectors=vectors)
    config = {
        "node_type": {
            "biological_process": 0,
            "gene/protein": 1,
            "disease": 2,
            "molecular_function": 3,
            "drug": 4,
        }
    }
    config["node_type"]["cellular_component"] = 5
    config["relation_type"] = {"interacts with": 0, "associated with": 1, "target": 2}
    (folder / "data_config.json").write_text(json.dumps(config | {"emb_dim": {"gene/protein": 8}}))
    return {
        "knowledge_graph": {
            "format": "primekg",
            "edges": "./kg.csv",
            "config": "./data_config.json",
            "contents": {"gene/protein": "./protein.csv", "disease": ["./disease.csv"]},
            "vectors": {"drug": {"file": "./drug.npz", "source": "made up"}},
        }
    }


def similarity(folder: Path, rng) -> dict:
    """Proteins of five groups, alike within a group."""
    names = [f"P{number:05}" for number in range(20)]
    records = [
        (f"sp|{name}|N{i}_HUMAN Protein {i}", protein(rng, [i % GROUPS]))
        for i, name in enumerate(names)
    ]
    fasta(folder / "human.fasta", records)
    entries = {}
    for aspect in ("MF", "BP", "CC"):
        group = np.arange(20) % GROUPS
        noise = 0.1 * rng.random((20, 20))
        matrix = np.where(group[:, None] == group[None], 0.8, 0.1) + (noise + noise.T) / 2
        np.fill_diagonal(matrix, 1.0)
        for size, count in (("500", 20), ("200", 12)):
            rows = np.char.mod("%.6f", matrix[:count, :count]).tolist()
            table(folder / f"{aspect}_{size}.csv", [names[:count], *rows])
        a, b = np.triu_indices(20, 1)
        chosen = np.sort(rng.choice(len(a), size=40, replace=False))
        np.save(folder / f"coordinates_{aspect}.npy", np.stack([b[chosen], a[chosen]], axis=1))
        entries[f"similarity_{aspect.lower()}"] = {
            "format": "probe",
            "matrices": {size: f"./{aspect}_{size}.csv" for size in ("500", "200")},
            "coordinates": f"./coordinates_{aspect}.npy",
            "sequences": ["./human.fasta"],
        }
    return entries


def interactions(folder: Path, rng) -> dict:
    """Action files, each pair in both directions, with the modes that the groups of the two
    proteins have."""
    entries = {}
    for name, count in (("shs27k", 40), ("shs148k", 60), ("string", 80)):
        proteins = [
            (f"9606.ENSP{number:011}", protein(rng, [number % GROUPS])) for number in range(count)
        ]
        rows = [
            ("item_id_a", "item_id_b", "mode", "action", "is_directional", "a_is_acting", "score")
        ]
        for _ in range(5 * count):
            a, b = (int(number) for number in rng.choice(count, size=2, replace=False))
            modes = {(a % GROUPS) * (b % GROUPS) % 7, (a % GROUPS + b % GROUPS) % 7}
            for mode in sorted(modes):
                rows += [
                    (proteins[x][0], proteins[y][0], MODES[mode], "", "f", "f", 900)
                    for x, y in ((a, b), (b, a))
                ]
        table(folder / f"{name}.actions.txt", rows, separator="\t")
        if name == "string":
            fasta(folder / "string.fa", proteins)
        else:
            table(folder / f"{name}.sequences.tsv", proteins, separator="\t")
        sequences = "./string.fa" if name == "string" else f"./{name}.sequences.tsv"
        entries[name] = {
            "format": "string_actions",
            "actions": f"./{name}.actions.txt",
            "sequences": sequences,
        }
    return entries


def scl2205(folder: Path, rng) -> dict:
    """Locations by number; one of them is a combination of two others."""
    names = {"0": "Cytoplasm", "2": "Nucleus", "1": "Membrane", "3": "Cytoplasm;Nucleus"}
    (folder / "labels.json").write_text(json.dumps(names))
    for split, count in (("train", 48), ("valid", 16)):
        rows = [(f"{split[0].upper()}{i:05}", protein(rng, [i % 4]), i % 4) for i in range(count)]
        table(folder / f"{split}.csv", [("entry", "seq", "scl"), *rows])
    files = {split: f"./{split}.csv" for split in ("train", "valid")}
    return {"localisation_scl2205": {"format": "scl2205", "labels": "./labels.json"} | files}


def swissmodel_ec(folder: Path, rng) -> dict:
    """Two EC numbers each, the second partial, and one that is too rare to be a class."""
    numbers = EC_NUMBERS[1:4]
    for split, count in (("train", 60), ("valid", 18)):
        rows = []
        for i in range(count):
            own = [
                numbers[i % 3],
                f"{numbers[i % 3].rpartition('.')[0]}.-",
                *(["7.7.7.7"] if i == 0 else []),
            ]
            rows.append((f"P{i:05}-{'AB'[i % 2]}", ",".join(own), protein(rng, [i % 3])))
        table(folder / f"{split}.tsv", [("chain", "ec_numbers", "sequence"), *rows], separator="\t")
    files = {split: f"./{split}.tsv" for split in ("train", "valid")}
    return {"ec_swissmodel": {"format": "ec_table"} | files}


def go_2014(folder: Path, rng) -> dict:
    """Terms of three ontologies; every fifth protein has none of the second."""
    terms = _go_ids()
    rows, records = [("accession", *terms)], []
    for i in range(80):
        chosen = [
            own[i % len(own)] if position != 1 or i % 5 else ""
            for position, own in enumerate(terms.values())
        ]
        rows.append((f"P{i:05}", *chosen))
        favoured = [6 * position + i % len(own) for position, own in enumerate(terms.values())]
        records.append((f"sp|P{i:05}|N{i}_HUMAN", protein(rng, favoured)))
    table(folder / "go_terms.tsv", rows, separator="\t")
    table(
        folder / "go_names.tsv",
        [(term, f"name of {term}") for own in terms.values() for term in own],
        separator="\t",
    )
    fasta(folder / "sequences.fasta", records)
    files = {"terms": "./go_terms.tsv", "names": "./go_names.tsv", "sequences": "./sequences.fasta"}
    return {"go_2014": {"format": "go_terms", "min_proteins": 10} | files}


def kgsim(folder: Path, rng) -> dict:
    """Proteins of five groups, alike and interacting within a group; a pair of a protein with
    itself."""
    fasta(folder / "sequences.fasta", [(f"P{i:05}", protein(rng, [i % GROUPS])) for i in range(20)])
    columns = ["BMA Resnik", "BMA Seco", "GIC Resnik", "GIC Seco"]
    pairs = [(int(a), int(b)) for a, b in rng.integers(20, size=(60, 2)) if a != b] + [(3, 3)]
    entries = {}
    for name, kind, more in (
        ("similarity_kgsim", "MF", []),
        ("similarity_kgsim_ppi", "PPI", ["Interaction"]),
    ):
        rows = [("Uniprot ID1", "Uniprot ID2", *more, *columns, "Sim(Seq)")]
        for a, b in pairs:
            same = a % GROUPS == b % GROUPS
            values = [f"{0.1 + 0.6 * same + 0.2 * rng.random():.6f}" for _ in columns]
            rows.append((f"P{a:05}", f"P{b:05}", *([int(same)] if more else []), *values, "0.01"))
        table(folder / f"{kind}_DM3.csv", rows, separator=";")
        entries[name] = {
            "format": "kgsim",
            "files": {"DM3": f"./{kind}_DM3.csv"},
            "sequences": "./sequences.fasta",
        }
    return entries


def gb1(folder: Path, rng) -> dict:
    """Variants at four sites; the wild type and those of one and two substitutions are for
    training."""
    wild_type, rows = protein(rng, [], 40), []
    for number in range(160):
        sequence = list(wild_type)
        for site in sorted(rng.choice(4, size=number % 5, replace=False)):
            others = [letter for letter in RESIDUES if letter != wild_type[10 + site]]
            sequence[10 + site] = str(rng.choice(others))
        target = 1 + 40 * (composition_mean("".join(sequence)) - composition_mean(wild_type))
        kind = ("train", "True" if number % 10 == 1 else "") if number % 5 < 3 else ("test", "")
        rows.append(("".join(sequence), f"{target + 0.05 * rng.normal():.5f}", *kind))
    table(folder / "two_vs_rest.csv", [("sequence", "target", "set", "validation"), *rows])
    return {"gb1": {"format": "flip", "file": "./two_vs_rest.csv"}}


ASSAYS = (("ONE_HUMAN", "Activity"), ("ONE_HUMAN", "Stability"), ("TWO_YEAST", "Activity"))


def proteingym(folder: Path, rng) -> dict:
    """Two assays of one protein and one of another, a third whose file is absent; an alignment
    and texts."""
    proteins = {"ONE_HUMAN": protein(rng, [], 30), "TWO_YEAST": protein(rng, [], 25)}
    header = (
        "DMS_id",
        "DMS_filename",
        "UniProt_ID",
        "target_seq",
        "coarse_selection_type",
        "MSA_filename",
    )
    reference = [header]
    (folder / "assays").mkdir()
    (folder / "alignments").mkdir()
    for number, (name, function) in enumerate(ASSAYS):
        wild_type, rows = (
            proteins[name],
            [("mutant", "mutated_sequence", "DMS_score", "DMS_score_bin")],
        )
        for count in range(60):
            sequence = list(wild_type)
            changes = _substituted(rng, wild_type, 1 + count % 3)
            for position, residue in changes:
                sequence[position] = residue
            mutant = ":".join(f"{wild_type[i]}{i + 1}{residue}" for i, residue in changes)
            score = composition_mean("".join(sequence)) + 0.01 * rng.normal()
            rows.append((mutant, "".join(sequence), f"{score:.5f}", int(score > 0)))
        table(folder / "assays" / f"{name}_{number}.csv", rows)
        reference.append(
            (f"{name}_{number}", f"{name}_{number}.csv", name, wild_type, function, f"{name}.a2m")
        )
    reference.append(("GONE", "GONE.csv", "GONE", "MKV", "Binding", ""))
    table(folder / "DMS_substitutions.csv", reference)
    homologues = [("ONE_HUMAN/3-30", proteins["ONE_HUMAN"][2:])]
    homologues += [(f"h{n}", protein(rng, [n], 27)) for n in range(6)]
    fasta(folder / "alignments/ONE_HUMAN.a2m", [(name, text[:27]) for name, text in homologues])
    table(
        folder / "texts.tsv",
        [("UniProt_ID", "text"), ("ONE_HUMAN", "FUNCTION: abc.")],
        separator="\t",
    )
    files = {
        "reference": "./DMS_substitutions.csv",
        "folder": "./assays",
        "alignments": "./alignments",
    }
    return {"proteingym": {"format": "proteingym", "texts": "./texts.tsv"} | files}


def variants(folder: Path, rng) -> dict:
    """Other benchmarks' variants as assays; of two the wild type is given where those have it."""
    del rng
    own = {name: folder.parent / f"{path}" for name, path in WILD_TYPES.items()}
    entries = {
        f"variants_{name}": {"format": "assay"}
        for name in ("beta_lactamase", "fluorescence", "gb1", "aav")
    }
    for name, path in own.items():
        (folder / f"{name}.fasta").write_text(path.read_text())
        entries[f"variants_{name}"]["wild_type"] = f"./{name}.fasta"
    entries["variants_fluorescence"]["text"] = "FUNCTION: Emits green light."
    return entries


WILD_TYPES = {"fluorescence": "fluorescence/wild_type.txt", "aav": "aav/reference.fasta"}

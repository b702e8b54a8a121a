"""The benchmarks by name: what kind each is, in which unit, and where its data come from."""

from typing import Literal

Kind = Literal["multiclass", "multilabel", "regression"]

KINDS: dict[str, Kind] = {
    **dict.fromkeys(("localisation", "membrane", "reaction"), "multiclass"),
    **dict.fromkeys(("ec", "go_mf", "go_bp", "go_cc"), "multilabel"),
    **dict.fromkeys(("beta_lactamase", "aav", "thermostability", "fluorescence", "stability"), "regression"),
}
"""Of the benchmarks of single proteins."""

UNITS = {
    "beta_lactamase": "scaled effect",
    "aav": "fitness",
    "thermostability": "°C",
    "fluorescence": "log10 of the fluorescence",
    "stability": "log10 of EC50 over the unfolded state's",
}

CROSS_MODAL = ("prot2bp", "prot2mf", "prot2cc", "prot2drug", "disease2prot")
SIMILARITY = ("similarity_mf", "similarity_bp", "similarity_cc")
INTERACTION = ("shs27k", "shs148k", "string")
ZERO_SHOT = {"zero_shot_localisation": "localisation", "zero_shot_reaction": "reaction"}
"""Benchmarks by prompts, and those whose proteins they are judged on."""
FEW_SHOT = {f"few_shot_{name}": name for name in ("localisation", "membrane", "reaction")}
"""Benchmarks from a few examples of each class, and those whose proteins they take; they need no files of their own."""
BENCHMARKS = (*KINDS, *CROSS_MODAL, *SIMILARITY, *INTERACTION, *ZERO_SHOT, *FEW_SHOT)

GROUPS = {**dict.fromkeys(("go_mf", "go_bp", "go_cc"), "go"), **dict.fromkeys(CROSS_MODAL, "knowledge_graph")}
"""Benchmarks that read the same files: an entry or folder of the group's name serves all of them."""

_DEEPFRI = "github.com/flatironinstitute/DeepFRI, preprocessing/data"
_FLIP = "github.com/J-SNACKKB/FLIP"
_PROBE = "github.com/HUBioDataLab/PROBE, and the proteins' FASTA from UniProt"
_GNN_PPI = "github.com/lvguofeng/GNN_PPI, data"
_TAPE = "TAPE (github.com/songlab-cal/tape) or PEER (github.com/DeepGraphLearning/PEER_Benchmark), exported to CSV"
_PROTST = "github.com/DeepGraphLearning/ProtST, data/zero_shot_classification"

WANTED: dict[str, str] = {
    **dict.fromkeys(
        ("localisation", "membrane"),
        "deeploc_our_train_set.fasta, deeploc_our_val_set.fasta and deeploc_test_set.fasta of DeepLoc, from "
        "data.bioembeddings.com/public/FLIP/scl or (without the first) github.com/HannesStark/protein-localization, data_files",
    ),
    "ec": "nrPDB-EC_2020.04_annot.tsv, _train.txt, _valid.txt and _test.csv of DeepFRI, from "
    f"{_DEEPFRI}, and the chains' sequences: pdb_seqres.txt of the PDB",
    **dict.fromkeys(
        ("go_mf", "go_bp", "go_cc"),
        "nrPDB-GO_2019.06.18_annot.tsv, _train.txt, _valid.txt and _test.csv of DeepFRI, from "
        f"{_DEEPFRI}, and the chains' sequences: nrPDB-GO_2019.06.18_sequences.fasta or pdb_seqres.txt of the PDB",
    ),
    "reaction": "chain_functions.txt, unique_functions.txt, training.txt, validation.txt and testing.txt of IEConv, from "
    "github.com/phermosilla/IEConv_proteins, Datasets/data/ProtFunct, and the chains' sequences: pdb_seqres.txt of the PDB",
    "beta_lactamase": "PEER's beta-lactamase splits exported to CSV (github.com/DeepGraphLearning/PEER_Benchmark), or "
    "P62593.fasta from github.com/facebookresearch/esm, examples/data",
    "aav": f"two_vs_many.csv of FLIP, from splits/aav/splits.zip of {_FLIP}",
    "thermostability": f"human_cell.csv of FLIP, from splits/meltome/splits.zip of {_FLIP}",
    "fluorescence": f"the fluorescence train, valid and test splits of {_TAPE}",
    "stability": f"the stability train, valid and test splits of {_TAPE}",
    **dict.fromkeys(
        CROSS_MODAL,
        "kg.csv of PrimeKG, from doi.org/10.7910/DVN/IXA7BM, and protein.csv, disease.csv and the like from "
        "github.com/RyanWangZf/BioBridge, data/Processed",
    ),
    **{
        f"similarity_{aspect.lower()}": f"human_{aspect}_proteinSimilarityMatrix_for_highest_annotated_500_proteins.csv, the "
        f"same of 200, and SparsifiedSimilarityCoordinates_{aspect}_for_highest_500.npy of PROBE, from {_PROBE}"
        for aspect in ("MF", "BP", "CC")
    },
    **{
        name.lower(): f"protein.actions.{name}.STRING.txt and protein.{name}.sequences.dictionary.tsv, from {_GNN_PPI}, "
        "or SHS_ppi_beta.zip that its page points to"
        for name in ("SHS27k", "SHS148k")
    },
    "zero_shot_localisation": f"the files of localisation, and protst_subloc_template.tsv of ProtST, from {_PROTST}",
    "zero_shot_reaction": f"the files of reaction, and protst_reaction_template.tsv of ProtST, from {_PROTST}",
    "string": "9606.protein.actions.v11.0.txt.gz and 9606.protein.sequences.v11.0.fa.gz of STRING, from "
    "stringdb-static.org/download (protein.actions.v11.0 and protein.sequences.v11.0)",
}
WANTED |= {name: WANTED[base] for name, base in FEW_SHOT.items()}
"""The files that a benchmark's published numbers are on, and where they are."""

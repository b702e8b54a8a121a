"""Protein classification: localisation, membrane or soluble, EC numbers, GO terms, reactions.

Single-label tasks are measured by accuracy. Multi-label tasks are measured by protein-centric Fmax,
on which training is stopped, and by micro AUPR.
"""

import numpy as np

from data_pipelines.common.errors import UserError
from eval.benchmarks.base.family import Measured, Setup
from eval.benchmarks.base.single_proteins import SingleProteins, of_setup
from eval.data.base import known_sources
from eval.data.base.benchmark import Benchmark
from eval.data.base.published import FINE_TUNING, data_size, published_row
from eval.data.base.task import Task
from eval.data.importers.deepfri import DEEPFRI
from eval.data.importers.deeploc import DEEPLOC_FASTA
from eval.data.importers.ec_table import EC_TABLE
from eval.data.importers.go_terms import COLUMNS, GO_TERMS
from eval.data.importers.neutral import NEUTRAL
from eval.data.importers.reaction import IECONV
from eval.data.importers.scl2205 import SCL2205
from eval.data.importers.ses import SES_JSONL
from eval.data.importers.tables import TABLES
from eval.metrics import accuracy, average_precision, fmax, macro_f1, multilabel_intervals
from eval.metrics.statistics import Interval, bootstrap_interval, bootstrap_metric
from eval.protocols.supervised import Judge, Outputs


def _predicted(outputs: Outputs) -> np.ndarray:
    return outputs.argmax(1)


def _accuracy(outputs: Outputs, classes: np.ndarray) -> float:
    return accuracy(_predicted(outputs), classes)


def _macro_f1(outputs: Outputs, classes: np.ndarray) -> float:
    one_hot = np.eye(outputs.shape[1], dtype=bool)
    return macro_f1(one_hot[_predicted(outputs)], one_hot[classes])


def _multiclass_intervals(outputs: Outputs, classes: np.ndarray) -> dict[str, Interval]:
    return {
        "accuracy": bootstrap_interval(_predicted(outputs) == classes),
        "macro_f1": bootstrap_metric(_macro_f1, outputs, classes, resamples=MACRO_F1_RESAMPLES),
    }


MACRO_F1_RESAMPLES = 400
"""Resamples cannot reuse sums over proteins, so each costs a pass over all classes."""

JUDGES = {
    "multiclass": Judge(
        "accuracy",
        {"accuracy": _accuracy, "macro_f1": _macro_f1},
        _multiclass_intervals,
        _accuracy,
    ),
    "multilabel": Judge(
        "fmax", {"fmax": fmax, "aupr": average_precision}, multilabel_intervals, fmax
    ),
}


def judge_of(task: Task) -> Judge:
    """Picks the metrics of a classification task.

    Raises:
      UserError: the task is not a classification, is of another kind than the benchmark, or none of
      its proteins has a class.
    """
    wanted = _KINDS.get(task.name, task.kind)
    if task.kind != wanted or task.kind not in JUDGES:
        raise UserError(
            f"{task.name} should be {wanted}, but its data are {task.kind}; correct its format in "
            "the manifest."
        )
    if not task.classes:
        raise UserError(
            f"{task.name}: no protein has a class; give rows with targets, or the list of classes."
        )
    return JUDGES[task.kind]


_DEEPLOC_FILES = (
    "deeploc_our_train_set.fasta, deeploc_our_val_set.fasta and deeploc_test_set.fasta of "
    "DeepLoc, from "
    "data.bioembeddings.com/public/FLIP/scl or (without the first) "
    "github.com/HannesStark/protein-localization, data_files"
)
_DEEPLOC_ENTRY = {
    "format": "deeploc_fasta",
    "train": "deeploc/deeploc_our_train_set.fasta",
    "valid": "deeploc/deeploc_our_val_set.fasta",
    "test": "deeploc/deeploc_test_set.fasta",
}
_DEEPFRI_FOLDER = "github.com/flatironinstitute/DeepFRI, preprocessing/data"


def _deepfri_entry(release: str, sequences: str) -> dict:
    return {
        "format": "deepfri",
        "annotations": f"deepfri/{release}_annot.tsv",
        "train": f"deepfri/{release}_train.txt",
        "valid": f"deepfri/{release}_valid.txt",
        "test": f"deepfri/{release}_test.csv",
        "sequences": [sequences],
    }


def _go(name: str) -> Benchmark:
    """One of the three ontologies, which share their files."""
    return Benchmark(
        name,
        "nrPDB-GO_2019.06.18_annot.tsv, _train.txt, _valid.txt and _test.csv of DeepFRI, from "
        f"{_DEEPFRI_FOLDER}, and the chains' sequences: nrPDB-GO_2019.06.18_sequences.fasta "
        "or pdb_seqres.txt of the PDB",
        (SES_JSONL, DEEPFRI, NEUTRAL),
        _deepfri_entry("nrPDB-GO_2019.06.18", "pdb_seqres.txt.gz"),
        source=known_sources.DEEPFRI_GO,
        group="go",
        kind="multilabel",
    )


_LOCALISATION = Benchmark(
    "localisation",
    _DEEPLOC_FILES,
    (DEEPLOC_FASTA, SES_JSONL, TABLES, NEUTRAL),
    _DEEPLOC_ENTRY | {"mixed": "reject"},
    source=known_sources.DEEPLOC,
    kind="multiclass",
)
_MEMBRANE = Benchmark(
    "membrane",
    _DEEPLOC_FILES,
    (DEEPLOC_FASTA, SES_JSONL, TABLES, NEUTRAL),
    _DEEPLOC_ENTRY,
    source=known_sources.DEEPLOC,
    kind="multiclass",
)
_REACTION = Benchmark(
    "reaction",
    "chain_functions.txt, unique_functions.txt, training.txt, validation.txt and testing.txt "
    "of IEConv, from "
    "github.com/phermosilla/IEConv_proteins, Datasets/data/ProtFunct, and the chains' "
    "sequences: pdb_seqres.txt of the PDB",
    (IECONV, TABLES, NEUTRAL),
    {
        "format": "ieconv",
        "functions": "ieconv/chain_functions.txt",
        "classes": "ieconv/unique_functions.txt",
        "train": "ieconv/training.txt",
        "valid": "ieconv/validation.txt",
        "test": "ieconv/testing.txt",
        "sequences": ["pdb_seqres.txt.gz"],
    },
    source=known_sources.IECONV,
    kind="multiclass",
)
_EC = Benchmark(
    "ec",
    "nrPDB-EC_2020.04_annot.tsv, _train.txt, _valid.txt and _test.csv of DeepFRI, from "
    f"{_DEEPFRI_FOLDER}, and the chains' sequences: pdb_seqres.txt of the PDB",
    (SES_JSONL, DEEPFRI, NEUTRAL),
    _deepfri_entry("nrPDB-EC_2020.04", "pdb_seqres.txt.gz"),
    source=known_sources.DEEPFRI_EC,
    kind="multilabel",
)
_SCL2205 = Benchmark(
    "localisation_scl2205",
    "the training and validation tables of SCL2205 and its labels, from the Python package "
    "scldata (scl2205.csv)",
    (SCL2205, TABLES, NEUTRAL),
    {
        "format": "scl2205",
        "labels": "scl2205/labels.json",
        "train": "scl2205/train.csv",
        "valid": "scl2205/valid.csv",
    },
    source=known_sources.SCL2205,
    kind="multiclass",
)
_EC_SWISSMODEL = Benchmark(
    "ec_swissmodel",
    "a table of chains of SWISS-MODEL with the columns chain, ec_numbers and sequence",
    (EC_TABLE, NEUTRAL),
    {"format": "ec_table", "train": "swissmodel_ec/train.tsv", "valid": "swissmodel_ec/valid.tsv"},
    kind="multilabel",
)
_GO_2014 = tuple(
    Benchmark(
        name,
        "a table of UniProt accessions with their GO terms in the columns "
        "molecular_function, biological_process and "
        "cellular_component, and the proteins' FASTA from UniProt",
        (GO_TERMS, NEUTRAL),
        {
            "format": "go_terms",
            "terms": "go_2014/go_terms.tsv",
            "names": "go_2014/go_names.tsv",
            "sequences": "go_2014/sequences.fasta",
        },
        group="go_2014",
        kind="multilabel",
    )
    for name in COLUMNS
)
_GO = tuple(_go(name) for name in ("go_mf", "go_bp", "go_cc"))

_FUNCTION = "ec go_bp go_mf go_cc"
_PROTCLIP = "Zhou et al. 2025, AAAI (arXiv:2412.20014), Table 3"
_PROTGO = "as listed by Hu et al. 2024, NeurIPS (ProtGO), Table 5"
_TORCHDRUG = "TorchDrug, torchdrug/datasets/{}.py"
_BY_PROTST = FINE_TUNING
"""ProtST tunes the whole network for function annotation.

See config/downstream_task/PretrainESM2/annotation_tune.yaml.
"""
_DEEPFRI = "DeepFRI, github.com/flatironinstitute/DeepFRI, preprocessing/data"
_PROTST = "ProtST, protst/dataset.py"

_GO_SIZES_TORCHDRUG = tuple(
    data_size(go.name, _TORCHDRUG.format("gene_ontology"), train=27496, valid=3053, test=2991)
    for go in _GO
)
_GO_SIZES_DEEPFRI = tuple(
    data_size(go.name, _DEEPFRI, train=29902, valid=3323, test=3416) for go in _GO
)


class Classification(SingleProteins):
    """Accuracy for single labels, Fmax for several, by the setup's protocol."""

    name = "classification"
    title = "Classification"
    benchmarks = (
        _LOCALISATION,
        _MEMBRANE,
        _REACTION,
        _EC,
        *_GO,
        _SCL2205,
        _EC_SWISSMODEL,
        *_GO_2014,
    )
    published = (
        *published_row(
            _FUNCTION, "ProtCLIP", "aupr", ".906 .567 .696 .582", _PROTCLIP, FINE_TUNING
        ),
        *published_row(
            _FUNCTION, "ProtCLIP", "fmax", ".908 .574 .691 .541", _PROTCLIP, FINE_TUNING
        ),
        *published_row(
            _FUNCTION, "ProtST-ESM2", "fmax", ".878 .482 .668 .487", _PROTGO, _BY_PROTST
        ),
        *published_row(_FUNCTION, "ESM-2", "fmax", ".874 .472 .662 .472", _PROTGO, _BY_PROTST),
    )
    sizes = (
        data_size(
            "localisation",
            _TORCHDRUG.format("subcellular_localization"),
            train=8945,
            valid=2248,
            test=2768,
        ),
        data_size(
            "membrane", _TORCHDRUG.format("binary_localization"), train=5161, valid=1727, test=1746
        ),
        # TorchDrug and ProtST drop chains without a readable structure and test chains above 95 %
        # identity.
        data_size("ec", _PROTST, train=15011, valid=1664, test=1840),
        data_size("ec", _DEEPFRI, train=15551, valid=1729, test=1919),
        *_GO_SIZES_TORCHDRUG,
        *_GO_SIZES_DEEPFRI,
        data_size("reaction", _PROTST, train=29215, valid=2562, test=5651),
    )

    def measure(self, setup: Setup, name: str, data: Task) -> Measured:
        """The protocol's result beside its controls; see `of_setup`."""
        del name
        return of_setup(setup, data, judge=judge_of(data))


_KINDS = {benchmark.name: benchmark.kind for benchmark in Classification.benchmarks}

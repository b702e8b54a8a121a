"""Published numbers beside ours, and the sizes of the data sets they were measured on, each with its source.

Only what could be read in the source named is here. What is not here is unknown, not zero: ProtCLIP's accuracies, correlations
and F1 are in its paper's tables and were not at hand.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_PROTCLIP_CLASSIFICATION = "Zhou et al. 2025, AAAI (arXiv:2412.20014), Table 3"
_PROTCLIP_CROSS_MODAL = "Zhou et al. 2025, AAAI (arXiv:2412.20014), Table 4"
_PROTGO = "as listed by Hu et al. 2024, NeurIPS (ProtGO), Table 5"
_PROBE = "PROBE, github.com/HUBioDataLab/PROBE@9ff8219, results/Semantic_sim_inference_{}_AAC.csv"
_TORCHDRUG = "TorchDrug, torchdrug/datasets/{}.py"
_DEEPFRI = "DeepFRI, github.com/flatironinstitute/DeepFRI, preprocessing/data"
_GNN_PPI = "Zrimšek 2022, ReScience C (doi:10.5281/zenodo.6574721), on GNN-PPI's data"


class Published(NamedTuple):
    """A number that somebody reported."""

    benchmark: str
    model: str
    metric: str
    """As our results name it: `aupr`, `fmax`, `mrr`, or of semantic similarity `<set>_<measure>`, a Spearman correlation."""
    value: float
    source: str


class DataSize(NamedTuple):
    """What a published data set counts: rows by split; of a graph proteins and pairs; of semantic similarity pairs by set."""

    benchmark: str
    counts: Mapping[str, int]
    source: str


class Completeness(NamedTuple):
    """Whether data at hand are the published ones."""

    whole: bool | None
    """None where the published size is not known."""
    sentence: str


def _rows(benchmarks: str, model: str, metric: str, values: str, source: str) -> list[Published]:
    names, numbers = benchmarks.split(), map(float, values.split())
    return [Published(name, model, metric, value, source) for name, value in zip(names, numbers, strict=True)]


_FUNCTION = "ec go_bp go_mf go_cc"
_CROSS_MODAL = "prot2bp prot2mf prot2cc prot2drug disease2prot"
_SIMILARITY = "similarity_mf similarity_bp similarity_cc"
_COMPOSITION = "amino-acid composition (PROBE)"

PUBLISHED: tuple[Published, ...] = (
    *_rows(_FUNCTION, "ProtCLIP", "aupr", ".906 .567 .696 .582", _PROTCLIP_CLASSIFICATION),
    *_rows(_FUNCTION, "ProtCLIP", "fmax", ".908 .574 .691 .541", _PROTCLIP_CLASSIFICATION),
    *_rows(_FUNCTION, "ProtST-ESM2", "fmax", ".878 .482 .668 .487", _PROTGO),
    *_rows(_FUNCTION, "ESM-2", "fmax", ".874 .472 .662 .472", _PROTGO),
    *_rows(_CROSS_MODAL, "ProtCLIP", "mrr", ".224 .475 .414 .409 .161", _PROTCLIP_CROSS_MODAL),
    *_rows(_CROSS_MODAL, "BioBridge", "mrr", ".136 .326 .319 .172 .084", _PROTCLIP_CROSS_MODAL),
    *_rows(_SIMILARITY, _COMPOSITION, "500_cosine", "0.04322 0.01887 0.04812", _PROBE.format(500)),
    *_rows(_SIMILARITY, _COMPOSITION, "500_manhattan", "0.04915 0.01649 0.0457", _PROBE.format(500)),
    *_rows(_SIMILARITY, _COMPOSITION, "200_cosine", "0.0431 0.03676 0.0989", _PROBE.format(200)),
    *_rows(_SIMILARITY, _COMPOSITION, "200_manhattan", "0.04912 0.0397 0.09393", _PROBE.format(200)),
    *_rows(_SIMILARITY, _COMPOSITION, "sparse_cosine", "-0.00339 0.21992 0.07592", _PROBE.format("Sparse")),
    *_rows(_SIMILARITY, _COMPOSITION, "sparse_manhattan", "-0.01205 0.2141 0.09121", _PROBE.format("Sparse")),
)


def _size(benchmark: str, source: str, **counts: int) -> DataSize:
    return DataSize(benchmark, MappingProxyType(counts), source)


_GO = ("go_mf", "go_bp", "go_cc")

SIZES: tuple[DataSize, ...] = (
    _size("localisation", _TORCHDRUG.format("subcellular_localization"), train=8945, valid=2248, test=2768),
    _size("membrane", _TORCHDRUG.format("binary_localization"), train=5161, valid=1727, test=1746),
    # TorchDrug and ProtST drop chains without a readable structure and test chains above 95 % identity.
    _size("ec", "ProtST, protst/dataset.py", train=15011, valid=1664, test=1840),
    _size("ec", _DEEPFRI, train=15551, valid=1729, test=1919),
    *(_size(name, _TORCHDRUG.format("gene_ontology"), train=27496, valid=3053, test=2991) for name in _GO),
    *(_size(name, _DEEPFRI, train=29902, valid=3323, test=3416) for name in _GO),
    _size("reaction", "ProtST, protst/dataset.py", train=29215, valid=2562, test=5651),
    _size("beta_lactamase", _TORCHDRUG.format("beta_lactamase"), train=4158, valid=520, test=520),
    _size("fluorescence", _TORCHDRUG.format("fluorescence"), train=21446, valid=5362, test=27217),
    _size("stability", _TORCHDRUG.format("stability"), train=53571, valid=2512, test=12851),
    _size("shs27k", _GNN_PPI, proteins=1690, pairs=7624),
    _size("shs148k", _GNN_PPI, proteins=5189, pairs=44488),
    _size("string", _GNN_PPI, proteins=15335, pairs=593397),
    # All pairs of 497, 497 and 495 proteins, and of 200; PROBE's p-values are of these numbers.
    _size("similarity_mf", _PROBE.format("*"), **{"500": 123256, "200": 19900, "sparse": 246}),
    _size("similarity_bp", _PROBE.format("*"), **{"500": 123256, "200": 19900, "sparse": 247}),
    _size("similarity_cc", _PROBE.format("*"), **{"500": 122265, "200": 19900, "sparse": 245}),
)


def published(benchmark: str) -> list[Published]:
    """What is known of a benchmark, in the order of `PUBLISHED`."""
    return [row for row in PUBLISHED if row.benchmark == benchmark]


def completeness(benchmark: str, counts: Mapping[str, int]) -> Completeness:
    """Whether the counts are those of a published data set, with a sentence for the report.

    Args:
      counts: as in `DataSize`; of a name that is absent nothing is at hand.
    """
    sizes = [size for size in SIZES if size.benchmark == benchmark]
    if not sizes:
        return Completeness(None, "The size of the published data set is not known, so these may be other data.")
    for size in sizes:
        if all(counts.get(name) == count for name, count in size.counts.items()):
            return Completeness(True, f"The data count what was published ({size.source}).")
    nearest = min(sizes, key=lambda size: sum(abs(counts.get(name, 0) - count) for name, count in size.counts.items()))
    parts = (f"{name} {counts.get(name, 0):,} instead of {count:,}" for name, count in nearest.counts.items())
    return Completeness(False, f"Not the published data set ({nearest.source}): {', '.join(parts)}.")

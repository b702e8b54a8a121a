"""The registry of benchmark families. A new one is a file and a line in `FAMILIES`."""

from eval.benchmarks.base.family import BenchmarkFamily, Measured, Setup
from eval.benchmarks.classification import Classification
from eval.benchmarks.cross_modal.family import CrossModal
from eval.benchmarks.few_shot import FewShot
from eval.benchmarks.interaction.family import ProteinInteraction
from eval.benchmarks.mutation_effect import MutationEffect
from eval.benchmarks.semantic_similarity import SemanticSimilarity
from eval.benchmarks.variant_effects import VariantEffects
from eval.benchmarks.zero_shot import ZeroShot
from eval.data.base.benchmark import Benchmark
from eval.data.base.format import Format
from eval.data.base.task import Data

FAMILIES: tuple[BenchmarkFamily, ...] = (
    Classification(),
    MutationEffect(),
    VariantEffects(),
    CrossModal(),
    SemanticSimilarity(),
    ProteinInteraction(),
    ZeroShot(),
    FewShot(),
)
"""In the order of reports."""

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark for family in FAMILIES for benchmark in family.benchmarks
}  # fmt: skip
"""All benchmarks by name."""

FORMATS: dict[str, Format] = {
    format_.name: format_ for benchmark in BENCHMARKS.values() for format_ in benchmark.formats
}  # fmt: skip
"""All formats that a manifest's entry may name."""

_FAMILY_OF = {benchmark.name: family for family in FAMILIES for benchmark in family.benchmarks}


def family_of(name: str) -> BenchmarkFamily:
    """The family of a benchmark."""
    return _FAMILY_OF[name]


def measure(setup: Setup, name: str, data: Data) -> Measured:
    """Measures a benchmark on its data; see `BenchmarkFamily.measure`."""
    return family_of(name).measure(setup, name, data)

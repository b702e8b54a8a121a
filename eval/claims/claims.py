"""The claims of the paper's abstract: which benchmarks and metrics each is about.

The sentences and percentages are the abstract's (Zhou et al. 2025, AAAI, arXiv:2412.20014). It
names neither the metric nor the baseline of a percentage: both are taken from the tables where
they could be read, and are unknown where not.
"""

import dataclasses
from collections.abc import Sequence

from eval.data.base.published import Published
from eval.data.published import published

PAPER = "ProtCLIP"
"""The paper's model in `PUBLISHED`."""
SOURCE = "Zhou et al. 2025, AAAI (arXiv:2412.20014), abstract"
CONTROLS = ("amino-acid composition (PROBE)",)
"""Published rows that are not competing models."""


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A metric of a benchmark, as our reports name both."""

    benchmark: str
    metric: str

    @property
    def of_paper(self) -> Published | None:
        """The number of the paper's model, None if it could not be verified."""
        return next((row for row in self._known if row.model == PAPER), None)

    @property
    def of_others(self) -> Published | None:
        """The largest number of another model, None if none could be verified."""
        others = [row for row in self._known if row.model not in (PAPER, *CONTROLS)]
        return max(others, key=lambda row: row.value, default=None)

    @property
    def _known(self) -> list[Published]:
        return [row for row in published(self.benchmark) if row.metric == self.metric]


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the abstract.

    Attributes:
      name: short, for tables.
      sentence: what is claimed.
      quantities: what it is about.
      improvement: the stated mean improvement over the best other model, as a fraction; None
        where only a rank is claimed.
    """

    name: str
    sentence: str
    quantities: Sequence[Quantity]
    improvement: float | None = None


def _each(benchmarks: str, *metrics: str) -> tuple[Quantity, ...]:
    return tuple(
        Quantity(benchmark, metric) for benchmark in benchmarks.split() for metric in metrics
    )


CROSS_MODAL = _each("prot2bp prot2mf prot2cc prot2drug disease2prot", "mrr, reverse kept")
CLAIMS: tuple[Claim, ...] = (
    Claim(
        "cross-modal",
        "75 % better on average on five benchmarks of cross-modal transformation",
        CROSS_MODAL,
        improvement=0.75,
    ),
    Claim(
        "GO-CC",
        "59.9 % better on GO cellular components",
        _each("go_cc", "aupr", "fmax"),
        improvement=0.599,
    ),
    Claim(
        "GO-BP",
        "39.7 % better on GO biological processes",
        _each("go_bp", "aupr", "fmax"),
        improvement=0.397,
    ),
    Claim(
        "22 benchmarks",
        "the best of all models on 22 benchmarks",
        (
            *_each("localisation membrane", "accuracy"),
            *_each("ec go_bp go_mf go_cc", "fmax"),
            *_each("beta_lactamase aav thermostability fluorescence stability", "spearman"),
            *CROSS_MODAL,
            *_each("similarity_mf similarity_bp similarity_cc", "500_cosine"),
            *_each("shs27k shs148k string", "micro_f1 random, all"),
        ),
    ),
)

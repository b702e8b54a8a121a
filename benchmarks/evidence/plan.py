"""Worlds, models, seeds, endpoints and margins, fixed before the first look at a test."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from eval.pretraining.trained_baselines import Budget

TUNING_SEEDS = (1, 2, 3)
"""Samples on whose validation splits recipes were chosen; their tests were never measured."""
SEEDS = (11, 12, 13, 14, 15)
"""Samples on whose tests the endpoints are measured; nothing was chosen on them.

A run has the seed of its sample.
"""
SAMPLING_SEEDS = (16, 17, 18, 19, 20)
"""Seeds for the study of sampling; docs/results.md says why they differ."""
CONTROL_SEEDS = (21, 22, 23)
"""Seeds for the positive control of sampling."""
LEVEL = 0.05
"""The significance level of all primary endpoints together (Holm)."""


@dataclasses.dataclass(frozen=True)
class Arm:
    """A network to train.

    Attributes:
      config: the config file.
      fields: the fields of the config to override.
    """

    config: str
    fields: Mapping[str, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Study:
    """The models to train and measure in one world.

    Attributes:
      like: the world, as in `data_pipelines.sample --like`.
      records: number of records in a sample.
      networks: the networks by name.
      linear: for each linear model, the fields of the config that determine its training data.
      seeds: the samples on whose tests the models are measured.
      budget: training budget of every linear model; None uses that of reports, which grows with
        the number of distinct records drawn.
      training_records: the number of records that models learn from; None = all.
    """

    like: str
    records: int
    networks: Mapping[str, Arm]
    linear: Mapping[str, Mapping[str, object]]
    seeds: tuple[int, ...] = SEEDS
    budget: Budget | None = None
    training_records: int | None = None


RECIPES = {"ours": Arm("configs/quickstart.py"), "paper": Arm("configs/quickstart_paper.py")}


def of_length(steps: int) -> Arm:
    """Our recipe with another number of steps, and as many evaluations."""
    every = steps // 5
    return Arm(
        "configs/quickstart.py",
        {"total_steps": steps, "eval_every": every, "checkpoint_every": every},
    )


WHOLE, SOME = {"tokenizer.property_subset": 0.0}, {"tokenizer.property_subset": 0.5}
UNIFORM = {
    "sampling.alpha": 0.0,
    "sampling.beta": 0.0,
    "sampling.drop_confidence": (),
    "sampling.drop_coverage": (),
}
NO_EXPONENTS = {"sampling.alpha": 0.0, "sampling.beta": 0.0}
NO_DROPS = {"sampling.drop_confidence": (), "sampling.drop_coverage": ()}
RECORDS = "records"
"""A source's share of the draws: the number of its records that are not dropped.

This corresponds to a dataset thinned once.
"""
BY_RECORDS = {"sampling.sources.swissprot": RECORDS, "sampling.sources.trembl": RECORDS}
SAMPLING = {
    "uniform": UNIFORM,
    "half": UNIFORM | {"sampling.sources.swissprot": 0.5, "sampling.sources.trembl": 0.5},
    "drops": NO_EXPONENTS,
    "exponents": NO_DROPS | BY_RECORDS,
    "paper": BY_RECORDS,
    "default": {},
}
SAMPLING_BUDGET = Budget(steps=1000, batch=512)
CURVE_STEPS = (450, 1800, 3600)
"""Steps of longer and shorter runs of our recipe; `demo` has the one in between."""
CURVE_SEEDS = (11, 12)
ABLATION_SEEDS = (11, 12, 13)
"""Samples on which our recipe is trained with one of its parts left out; `demo` has it whole."""
NETWORK_SAMPLING = ("uniform", "paper", "default")
FEW_RECORDS = 3_000
"""About as many records as the paper's drops leave of a sample."""

SAMPLED_NETWORKS = {
    f"network_{name}": Arm("configs/quickstart.py", SAMPLING[name]) for name in NETWORK_SAMPLING
}
SAMPLED_LINEAR = {f"linear_{name}": SOME | fields for name, fields in SAMPLING.items()}

LENGTHS = {f"ours_{steps}": of_length(steps) for steps in CURVE_STEPS}

ABLATIONS = {
    "without_pda": {"loss.pda": 0.0},
    "without_features": {"loss.features": 0.0},
    "with_prototypes": {"pda.prototypes": True},
    "without_bsr": {"loss.bsr": 0.0},
}
ABLATED = {name: Arm("configs/quickstart.py", fields) for name, fields in ABLATIONS.items()}

STUDIES = {
    "demo": Study("demo", 8000, RECIPES, {"linear": SOME, "linear_whole": WHOLE}),
    "demo_steps": Study("demo", 8000, LENGTHS, {}, CURVE_SEEDS),
    "ablations": Study("demo", 8000, ABLATED, {}, ABLATION_SEEDS),
    "ordered": Study("ordered", 8000, RECIPES, {"linear": SOME, "linear_whole": WHOLE}),
    "sampling": Study(
        "uniprot",
        40_000,
        SAMPLED_NETWORKS,
        SAMPLED_LINEAR,
        SAMPLING_SEEDS,
        SAMPLING_BUDGET,
    ),
    "few_records": Study(
        "uniprot",
        40_000,
        {"network_few": Arm("configs/quickstart.py", UNIFORM)},
        {"linear_few": SOME | UNIFORM},
        SAMPLING_SEEDS,
        SAMPLING_BUDGET,
        FEW_RECORDS,
    ),
    "sampling_control": Study(
        "misleading",
        40_000,
        {},
        {name: SAMPLED_LINEAR[name] for name in ("linear_uniform", "linear_paper")},
        CONTROL_SEEDS,
        SAMPLING_BUDGET,
    ),
}


class Endpoint(NamedTuple):
    """A difference between two models of a study, or one model's own number.

    Attributes:
      claim: what a positive result would show.
      study, quantity: the study and the measured quantity (see `measure`).
      first, second: the models; '' as the second is zero.
      margin: differences within ± this count as no effect.
    """

    claim: str
    study: str
    quantity: str
    first: str
    second: str
    margin: float


PRIMARY = {
    "demo_mrr": Endpoint(
        "the demo's network retrieves better than a linear model",
        "demo",
        "mrr",
        "ours",
        "linear",
        0.02,
    ),
    "demo_map": Endpoint(
        "the demo's network answers single questions better than a linear model",
        "demo",
        "map",
        "ours",
        "linear",
        0.02,
    ),
    "ordered_mrr": Endpoint(
        "where order counts, the network retrieves better than a linear model",
        "ordered",
        "mrr",
        "ours",
        "linear",
        0.02,
    ),
    "ordered_map": Endpoint(
        "where order counts, the network answers single questions better",
        "ordered",
        "map",
        "ours",
        "linear",
        0.02,
    ),
    "swap": Endpoint(
        "PDA's weights move to the place that the text names", "demo", "swap", "ours", "", 0.05
    ),
    "sampling": Endpoint(
        "in a world of UniProt's published shares, the paper's sampling beats uniform sampling",
        "sampling",
        "map",
        "linear_paper",
        "linear_uniform",
        0.02,
    ),
}
"""At most six; all other measurements are described without a verdict."""

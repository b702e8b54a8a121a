"""Arms, endpoints and margins on real proteins, fixed before the first look at a test."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

CONFIG = "configs/protclip_small.py"
TEST_FRACTION = 0.1
"""Share of the clusters in the test split.

It is twice the build's default, since questions need several proteins without relatives in
training.
"""
LEFT_OUT = (
    "near_benchmark_test",
    "near_bench_valid=scl2205",
    "near_bench_valid=swissmodel_ec",
    "near_bench_valid=nrpdb_go",
)
"""Entries left out of training: those near to the benchmarks that are measured."""

REPLICATES = 1000
"""The number of resamples of the clusters.

With one seed, intervals do not cover the variation between seeds, and p is at least
2 / (REPLICATES + 1).
"""


@dataclasses.dataclass(frozen=True)
class Arm:
    """A model trained with all objectives, starting from the weights of the masked stage.

    Attributes:
      fields: fields of the config that differ from the main model's.
      share: share of the main model's steps.
      records: number of training records with text; None = all.
      planted: whether it is trained on the dataset with planted signals.
    """

    fields: Mapping[str, object] = dataclasses.field(default_factory=dict)
    share: float = 1.0
    records: int | None = None
    planted: bool = False


MAIN, MASKED, RANDOM, PLANTED = "main", "masked_only", "random_weights", "planted"
UNTRAINED = (MASKED, RANDOM)
"""Models without a contrast: the main model's masked stage, and its network with random weights."""
WHOLE, WITHOUT_PDA, WITHOUT_BSR = "all_objectives", "without_pda", "without_bsr"
"""Arms of equal length, with all objectives and without one."""
CURVE = ("curve_1k", "curve_4k", "curve_16k", "curve_all")
"""Arms of equal length, by the number of training records with text."""
ABLATED, SHORT = 20 / 80, 10 / 80
"""Twenty and ten minutes, if the main model's second stage takes eighty."""
ARMS = {
    MAIN: Arm(),
    WHOLE: Arm(share=ABLATED),
    WITHOUT_PDA: Arm({"loss.pda": 0.0}, share=ABLATED),
    WITHOUT_BSR: Arm({"loss.bsr": 0.0}, share=ABLATED),
    "curve_1k": Arm(share=SHORT, records=1_000),
    "curve_4k": Arm(share=SHORT, records=4_000),
    "curve_16k": Arm(share=SHORT, records=16_000),
    "curve_all": Arm(share=SHORT),
    PLANTED: Arm(share=ABLATED, planted=True),
}


@dataclasses.dataclass(frozen=True)
class Form:
    """The amount of training and measurement.

    Attributes:
      suffix: suffix of the stages of `CONFIG`.
      arms: the `ARMS` to train.
      pool: number of records among which proteins and texts are retrieved.
      questioned: number of records for questions about single properties.
      probed: maximum number of proteins per split of a probe; None = all.
      fields: overrides of the configs of both stages.
      contrast: overrides for the second stage only.
      replicates: number of resamples of the clusters.
      own_text_tower: whether the text tower is trained from random weights; otherwise it is
        MiniLM.
    """

    suffix: str
    arms: tuple[str, ...]
    pool: int
    questioned: int
    probed: int | None
    fields: Mapping[str, object] = dataclasses.field(default_factory=dict)
    contrast: Mapping[str, object] = dataclasses.field(default_factory=dict)
    replicates: int = REPLICATES
    own_text_tower: bool = False


_TINY = {
    "total_steps": 2,
    "data.streams": 8,
    "batch.rows": 8,
    "batch.slots": 4,
    "batch.protein_tokens": 256,
    "tokenizer.max_protein_tokens": 64,
    "model.protein.num_layers": 1,
    "model.protein.hidden_size": 32,
    "model.protein.num_heads": 2,
    "model.protein.intermediate_size": 64,
    "model.projection_dim": 16,
    "model.num_prototypes": 8,
}
_TINY_CONTRAST = {
    "batch.text_tokens": 256,
    "tokenizer.max_text_tokens": 32,
    "evals.retrieval.pool": 16,
    "model.text.num_layers": 1,
    "model.text.hidden_size": 32,
    "model.text.num_heads": 2,
    "model.text.intermediate_size": 64,
    "optimizer.groups": (("rotary_inv_freq", "frozen"), (".", 1.0)),
}
FORMS = {
    "two_minutes": Form(
        "",
        (MAIN, "curve_1k", PLANTED),
        64,
        128,
        60,
        fields=_TINY,
        contrast=_TINY_CONTRAST,
        replicates=50,
        own_text_tower=True,
    ),
    "thirty_minutes": Form("-thirty_minutes", (MAIN,), 512, 4096, 2000),
    "two_hours": Form("-two_hours", tuple(ARMS), 512, 4096, None),
    "full": Form("", tuple(ARMS), 512, 4096, None),
}

BEST = "best baseline"
"""The baseline with the highest value of the same quantity on validation."""


class Endpoint(NamedTuple):
    """A difference between two models, or one model's own number.

    Attributes:
      claim: what a positive result would show.
      quantity: the measured quantity; see `measure`.
      first, second: the models; `BEST` is the best baseline, '' is zero.
      margin: differences within ± this count as no effect.
    """

    claim: str
    quantity: str
    first: str
    second: str
    margin: float


PRIMARY = {
    "location": Endpoint(
        "without relatives in training: the model answers questions about locations better "
        "than the best baseline",
        "map_location_remote",
        MAIN,
        BEST,
        0.02,
    ),
    "enzyme": Endpoint(
        "without relatives in training: the model answers questions about enzymes better "
        "than the best baseline",
        "map_enzyme_remote",
        MAIN,
        BEST,
        0.02,
    ),
    "protein_to_text": Endpoint(
        "without relatives in training: the model finds a protein's text better than the "
        "best baseline",
        "p2t_mrr_remote",
        MAIN,
        BEST,
        0.02,
    ),
    "probe": Endpoint(
        "the contrast with texts leaves protein embeddings that predict locations better than "
        "masked language modelling alone",
        "scl2205_accuracy",
        MAIN,
        MASKED,
        0.01,
    ),
    "control": Endpoint(
        "the same pipeline finds blocks of residues that are planted in real sequences",
        "map_planted_block_over_chance",
        PLANTED,
        "",
        0.05,
    ),
}
"""At most six; all other measurements are described without a verdict."""

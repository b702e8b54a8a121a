"""Every field of a training config: default, values, purpose, whether it may change on resume.

The checks, the defaults of `configs/`, what a resumed run may change, the config of converted
weights and docs/config.md are derived from these lists. The defaults are the paper's, but for
`tokenizer.names`: not every dataset has all names.
"""

import functools
from collections.abc import Mapping

from ml_collections.config_dict import placeholder

from data_pipelines.common.settings import (
    DECAY,
    EXPONENT,
    FLAG,
    FRACTION,
    MAX_ROWS,
    MAX_STEPS,
    MAX_WIDTH,
    PATTERNS,
    ROWS,
    SHARE,
    STEPS,
    TEXT,
    WEIGHT,
    WIDTH,
    Kind,
    Setting,
    integer,
    number,
    one_of,
    rules,
    some_of,
    unset_or,
)
from data_pipelines.protanno.record import EXISTENCE, NAMES, PROPERTIES, RECOMMENDED
from data_pipelines.training.masking import MASKS
from protclip_jax.attention.registry import AUTO, BACKENDS
from protclip_jax.config import group_rules
from protclip_jax.config.plain_values import Config
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.esm2 import INITIAL_ATTENTION, RANDOM, ESM2Config
from protclip_jax.models.layers import REMAT_POLICIES, EncoderConfig
from protclip_jax.objectives.registry import OBJECTIVES

AUTO_REMAT = "auto"
"""As `model.remat`: the policy that saves the most and still fits the devices' memory."""

COUNT = integer(0, MAX_STEPS)
AXIS = Kind(
    "a whole number above 0, or -1 for what the other axis leaves",
    lambda value: type(value) is int and value != 0 and value >= -1,
    int,
)


def _weights() -> dict[str, Setting]:
    return {f"loss.{name}": kind.weight for name, kind in OBJECTIVES.items()}


def _options() -> dict[str, Setting]:
    fields = {}
    for name, kind in OBJECTIVES.items():
        fields |= {f"{name}.{option}": setting for option, setting in kind.options.items()}
    return fields


_free = functools.partial(Setting, changeable=True)
"""A field that affects neither the network nor the data nor the training."""

FIELDS: dict[str, Setting] = {
    "seed": Setting(
        0,
        integer(0, 2**63 - 1),
        "Decides initial weights, data order, masks and noise.",
    ),
    "total_steps": _free(
        None,
        unset_or(STEPS),
        "Steps of the run and of its learning-rate schedule; either these or `total_epochs`.",
    ),
    "total_epochs": _free(
        35.0,
        unset_or(number("above 0", lambda x: x > 0)),
        "The same in epochs of the sampler, of all Swiss-Prot and TrEMBL by its sampling weights.",
        before=None,
    ),
    "log_every": _free(50, STEPS, "Steps between lines of metrics."),
    "eval_every": _free(600, STEPS, "Steps between evaluations."),
    "checkpoint_every": _free(
        600,
        STEPS,
        "Steps between checkpoints, a multiple of `eval_every`.",
    ),
    "keep_best": _free(1, COUNT, "Best checkpoints to keep besides the latest."),
    "keep_every": _free(
        0,
        COUNT,
        "Steps between checkpoints that are kept for good, a multiple of `checkpoint_every`; 0 = "
        "none.",
    ),
    "best.metric": _free(
        "retrieval/mrr",
        unset_or(TEXT),
        "Metric of `evals` that chooses the best checkpoint, as in metrics.jsonl without `eval/`.",
    ),
    "best.mode": _free("max", one_of(("max", "min")), "Whether a high or a low value is better."),
    "best.patience": _free(
        4,
        COUNT,
        "Consecutive evaluations without improvement after which the run ends; 0 = never.",
        before=0,
    ),
    "metrics_hook": _free(
        None,
        unset_or(TEXT),
        "`module:function` that makes a further writer of metrics, as for W&B; see "
        "docs/training.md.",
    ),
    "max_skipped_steps": _free(
        10,
        COUNT,
        "Steps with a non-finite loss or gradient that a run may skip.",
    ),
    "gradient_norms_every": _free(
        1_000,
        COUNT,
        "Steps between gradient norms of each objective alone, a backward pass each; 0 = never.",
    ),
    "stall_seconds": _free(
        900.0,
        WEIGHT,
        "Seconds after which a phase of the loop is reported with all stacks; 0 = never.",
    ),
    "data.dir": _free(
        None,
        unset_or(TEXT),
        "The dataset, a folder made by `python -m data_pipelines.build`, also `gs://`.",
    ),
    "data.streams": Setting(
        64,
        integer(1, 1 << 16),
        "Logical streams of rows; `batch.rows` is a multiple of them.",
    ),
    "data.workers": _free(
        1,
        integer(0, 1 << 10),
        "Processes per host that prepare its rows; 0 = none.",
    ),
    "tokenizer.text": _free(
        None,
        unset_or(TEXT),
        "A vocab.txt: PubMedBERT's, or one learnt by `python -m data_pipelines.vocabulary`.",
    ),
    # <cls>, a residue, <eos>; and [CLS] and [SEP] of each of four properties.
    "tokenizer.max_protein_tokens": Setting(
        1024,
        integer(3, MAX_ROWS),
        "Tokens of a protein; longer ones are cropped.",
    ),
    "tokenizer.max_text_tokens": Setting(
        512,
        integer(2 * len(PROPERTIES), MAX_ROWS),
        "Tokens of a text, at most `model.text.max_positions`; longer ones are cut.",
    ),
    "tokenizer.crop_ends": Setting(
        True,
        FLAG,
        "Whether a crop keeps `<cls>` and `<eos>` even where the protein continues.",
    ),
    "tokenizer.names": Setting(
        RECOMMENDED,
        one_of(NAMES),
        "Names in the texts: only the recommended one, or also synonyms, short names and EC "
        "numbers.",
    ),
    "tokenizer.property_subset": Setting(
        0.0,
        SHARE,
        "Probability that a draw shows some of its record's properties but not all.",
    ),
    "batch.rows": Setting(
        384,
        integer(1, 1 << 20),
        "Packed rows of a step on all devices; 384 hold about 2,100 pairs.",
    ),
    "batch.microbatch_rows": _free(
        None,
        unset_or(integer(1, 1 << 20)),
        "Rows that are computed at a time, with the gradient of the whole batch; unset = all.",
    ),
    "batch.slots": Setting(16, integer(1, 1 << 12), "The most pairs in a row."),
    "batch.protein_tokens": Setting(2048, ROWS, "Protein tokens of a row."),
    "batch.text_tokens": Setting(1536, ROWS, "Text tokens of a row."),
    "masking.passes": Setting(
        "separate",
        one_of(tuple(MASKS)),
        "Passes of the protein tower: each masked objective its own, all of these one, or "
        "all objectives one.",
    ),
    "sampling.alpha": Setting(3.0, EXPONENT, "Exponent of confidence in a cluster's weight."),
    "sampling.beta": Setting(0.5, EXPONENT, "Exponent of property coverage in that weight."),
    "sampling.gamma": Setting(1.0, EXPONENT, "Exponent of the cluster's size in that weight."),
    "sampling.drop_confidence": Setting(
        (0, 4, 5), some_of(EXISTENCE), "Levels of protein existence of TrEMBL that are not drawn."
    ),
    "sampling.drop_coverage": Setting(
        (1, 2),
        some_of(range(1, len(PROPERTIES) + 1)),
        "Numbers of properties of TrEMBL records that are not drawn.",
    ),
    "sampling.without_text": Setting(
        0.0,
        SHARE,
        "Share of the draws from records without text, which only `loss.mlm` learns from.",
    ),
    "sampling.sources.swissprot": Setting(
        None,
        unset_or(WEIGHT),
        "Swiss-Prot's share of the draws with text; unset = its number of records, or 0 "
        "where another "
        "source has a share above 0.",
    ),
    "sampling.sources.trembl": Setting(
        None,
        unset_or(WEIGHT),
        "TrEMBL's share; unset = the sum of its weights, or 0 likewise.",
    ),
    "sampling.sources.unknown": Setting(
        None,
        unset_or(WEIGHT),
        "The share of records of unknown source, drawn uniformly; unset = their number, or 0 "
        "likewise.",
    ),
    **_weights(),
    "loss.mask_duplicates": Setting(
        True,
        FLAG,
        "Whether records that share a sequence or a text are left out of each other's negatives.",
    ),
    "loss.contrast_chunk": _free(
        0,
        COUNT,
        "Candidates that a contrast compares at a time; 0 = all of the global batch.",
    ),
    **_options(),
    "model.projection_dim": Setting(512, WIDTH, "Width of the space of proteins and texts."),
    "model.num_prototypes": Setting(512, ROWS, "Prototypes of the property bank."),
    "model.prototype_temperature": Setting(
        0.9,
        number("above 0", lambda x: x > 0),
        "Temperature of the Gumbel softmax over the prototypes.",
    ),
    "model.dtype": Setting(
        "bfloat16",
        one_of(("float32", "bfloat16")),
        "What the towers compute in; parameters are float32.",
    ),
    "model.attention": _free(
        AUTO,
        one_of((AUTO, *sorted(BACKENDS))),
        "Implementation of attention; `auto` = by the devices.",
    ),
    "model.remat": _free(
        AUTO_REMAT,
        one_of((AUTO_REMAT, *REMAT_POLICIES)),
        "What is saved for the backward pass; `auto` = the first of none, dots and full that fits.",
    ),
    "optimizer.learning_rate": Setting(1e-5, WEIGHT, "Learning rate after the warm-up."),
    "optimizer.schedule": Setting(
        "linear",
        one_of(("linear", "cosine", "constant")),
        "Course of the learning rate after the warm-up.",
    ),
    "optimizer.warmup_fraction": Setting(0.03, SHARE, "Share of the steps that warm up."),
    "optimizer.b1": Setting(0.9, DECAY, "Adam's decay of the mean gradient."),
    "optimizer.b2": Setting(0.999, DECAY, "Adam's decay of the mean squared gradient."),
    "optimizer.eps": Setting(1e-8, WEIGHT, "Adam's addend to the denominator."),
    "optimizer.weight_decay": Setting(0.0, WEIGHT, "Decoupled weight decay, as in AdamW."),
    "optimizer.undecayed": Setting(
        ("(^|/)(scale|bias|log)$",),
        PATTERNS,
        "Parameter paths that weight decay spares: by default gains, biases and log scales.",
        before=(),
    ),
    "optimizer.clip_norm": Setting(0.0, WEIGHT, "Norm to which gradients are clipped; 0 = none."),
    "optimizer.groups": Setting(
        (("rotary_inv_freq", "frozen"), ("^text/", "frozen"), ("^protein/", 1.0), (".", 1.0)),
        rules(group_rules.WANTED, group_rules.is_rule),
        "By parameter path, how fast it learns; first match decides. See docs/training.md.",
    ),
    "ema.decay": Setting(
        0.0,
        DECAY,
        "Decay per step of the averages that are evaluated and published instead of the weights; "
        "0 = none.",
    ),
    "lora.rank": Setting(
        0,
        integer(0, MAX_WIDTH),
        "Rank of the adapters trained instead of the kernels of `lora.targets`; 0 = none.",
    ),
    "lora.alpha": Setting(
        16.0,
        number("above 0", lambda x: x > 0),
        "What the adapters add to a kernel is multiplied by this over the rank.",
    ),
    "lora.targets": Setting(
        ("attention/qkv",),
        PATTERNS,
        "Kernels of the towers' layers that get adapters, by parameter path.",
    ),
    "init.protein": _free(
        None,
        unset_or(TEXT),
        "Checkpoint folder whose protein tower the run starts from; unset = random weights.",
    ),
    "init.text": _free(
        None,
        unset_or(TEXT),
        "Checkpoint folder whose text tower the run starts from; unset = random weights.",
    ),
    "init.all": _free(
        None,
        unset_or(TEXT),
        "Checkpoint folder whose parameters the run starts from; unset = random weights.",
    ),
    "mesh.data": _free(-1, AXIS, "Devices along the axis that divides rows alone."),
    "mesh.fsdp": _free(8, AXIS, "Devices along the axis that divides rows and parameters."),
    "mesh.rules": _free(
        (("/layers/.*kernel$", "fsdp"), (".", "replicate")),
        rules('"fsdp" or "replicate"', lambda x: x in ("fsdp", "replicate")),
        "By parameter path, whether `fsdp` divides the parameter; the first match decides.",
    ),
}
"""By dotted path; what precedes the last dot is a group."""

ON_REQUEST = (
    "optimizer.learning_rate",
    "optimizer.schedule",
    "optimizer.warmup_fraction",
    "optimizer.weight_decay",
)
"""The fields that `--change` may change on resume: the optimiser's state stays valid."""

SIZES = ("num_layers", "hidden_size", "num_heads", "intermediate_size")
"""The fields that a tower must have; the others are optional."""

_SHOWN = (*SIZES, "initializer_range")
"""The fields of a tower in the default config."""


def _encoder(layers: int, width: int, heads: int, inner: int, eps: float) -> dict[str, Setting]:
    return {
        "num_layers": Setting(layers, WIDTH, "Transformer layers."),
        "hidden_size": Setting(width, WIDTH, "Width of a token, a multiple of `num_heads`."),
        "num_heads": Setting(heads, WIDTH, "Attention heads."),
        "intermediate_size": Setting(inner, WIDTH, "Width within the feed-forward block."),
        "initializer_range": Setting(
            EncoderConfig.initializer_range,
            FRACTION,
            "Standard deviation of random initial kernels and embeddings.",
        ),
        "layer_norm_eps": Setting(eps, FRACTION, "Addend to the variance in layer norms."),
    }


TOWERS: dict[str, dict[str, Setting]] = {
    "model.protein": {
        **_encoder(33, 1280, 20, 5120, ESM2Config.layer_norm_eps),
        "token_dropout": Setting(
            ESM2Config.token_dropout,
            FLAG,
            "Whether embeddings are rescaled by the share of masked tokens, as in ESM-2.",
        ),
        "initial_attention": Setting(
            RANDOM,
            one_of(INITIAL_ATTENTION),
            "How random heads start: anywhere, or each at a fixed distance along the sequence.",
        ),
    },
    "model.text": {
        **_encoder(12, 768, 12, 3072, BertConfig.layer_norm_eps),
        "max_positions": Setting(
            BertConfig.max_positions,
            ROWS,
            "Rows of the position table, the most tokens of a text.",
        ),
    },
}
"""Groups with optional fields. A group is None in a checkpoint without that tower."""

EVALUATION: dict[str, Setting] = {
    "split": _free(None, TEXT, "Split of the dataset; unset = `validation`."),
    "pool": _free(None, integer(2, MAX_STEPS), "Records that are compared with each other."),
    "max_existence": _free(
        None,
        unset_or(integer(1, max(EXISTENCE))),
        "The weakest level of protein existence in the pool; unset = any.",
    ),
    "every": _free(None, STEPS, "Steps between runs, a multiple of `eval_every`, the default."),
    "benchmark": _free(None, TEXT, "The public benchmark; unset = the name of the group."),
    "data_dir": _free(None, TEXT, "Folder of a public benchmark's data."),
    "limit": _free(None, unset_or(ROWS), "The most records of a public benchmark; unset = all."),
}
"""Fields of the groups in `evals`, all optional; an evaluation refuses unknown ones."""

_EVALS = {
    "retrieval": {"split": "validation", "pool": 1024},
    "losses": {"split": "validation", "pool": 1024},
}
"""The evaluations of the default config."""

GROUPS = frozenset(path.rpartition(".")[0] for path in FIELDS) - {""} | {"evals"}


def default_config() -> Config:
    """A new config with the defaults of every field of `FIELDS`, both towers and one evaluation."""
    config = Config()
    for path, setting in FIELDS.items():
        group, _, name = path.rpartition(".")
        unset = placeholder(setting.kind.holds)
        _subgroup(config, group)[name] = unset if setting.default is None else setting.default
    for path, fields in TOWERS.items():
        _subgroup(config, path).update({name: fields[name].default for name in _SHOWN})
    _subgroup(config, "evals").update(_EVALS)
    return config


def completed(stored: Mapping) -> dict:
    """Adds missing fields of `FIELDS` to a stored config.

    A missing field did not exist when the config was written; it gets the value that the code used
    then.
    """
    config = _copied(stored)
    for path, setting in FIELDS.items():
        group, _, name = path.rpartition(".")
        _subgroup(config, group).setdefault(name, setting.began_with)
    return config


def is_changeable(path: str) -> bool:
    """Whether a resumed run may have another value than it began with."""
    return path.startswith("evals.") or (path in FIELDS and FIELDS[path].changeable)


def _subgroup(config: dict | Config, path: str) -> dict | Config:
    """The group of that path ('' = the whole), made where it is absent or None."""
    group = config
    for part in path.split(".") if path else ():
        if group.get(part) is None:
            group[part] = {}
        group = group[part]
    return group


def _copied(group: Mapping) -> dict:
    copied = {}
    for name, value in group.items():
        copied[name] = _copied(value) if isinstance(value, Mapping) else value
    return copied

"""Every field of a config and what it may be: for the config of a run, and for the one that a stranger's checkpoint holds."""

import reprlib
from collections.abc import Iterator, Mapping

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import is_number
from data_pipelines.common.settings import (
    DECAY,
    EXPONENT,
    FLAG,
    FRACTION,
    MAX_ROWS,
    MAX_STEPS,
    ROWS,
    SHARE,
    STEPS,
    TEXT,
    WEIGHT,
    WIDTH,
    Kind,
    integer,
    number,
    one_of,
    rules,
    some_of,
    unset_or,
)
from data_pipelines.protanno.record import EXISTENCE, PROPERTIES, SOURCES
from data_pipelines.training.masking import MASKS
from protclip_jax.attention.registry import AUTO, BACKENDS
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.layers import REMAT_POLICIES
from protclip_jax.objectives.late_interaction import LATE_INTERACTION, POOLINGS
from protclip_jax.objectives.segment_alignment import NEGATIVES

OBJECTIVES = ("gc", "bsr", "mlm", "pda", "features")
"""What `config.loss` gives weights to."""

AUTO_REMAT = "auto"
"""As `model.remat`: whatever keeps the most that the devices have memory for."""

AXIS = Kind("a whole number above 0, or -1 for what the other axis leaves", lambda n: type(n) is int and n != 0 and n >= -1)
FIELDS: dict[str, Kind] = {
    "seed": integer(0, 2**63 - 1),
    **dict.fromkeys(("total_steps", "log_every", "eval_every", "checkpoint_every"), STEPS),
    **dict.fromkeys(("keep_best", "max_skipped_steps", "gradient_norms_every"), integer(0, MAX_STEPS)),
    "best.metric": unset_or(TEXT),
    "best.mode": one_of(("max", "min")),
    "stall_seconds": WEIGHT,
    "data.dir": unset_or(TEXT),
    "data.streams": integer(1, 1 << 16),
    "data.workers": integer(0, 1 << 10),
    "tokenizer.text": unset_or(TEXT),
    # <cls>, a residue, <eos>; and [CLS] and [SEP] of each of four properties.
    "tokenizer.max_protein_tokens": integer(3, MAX_ROWS),
    "tokenizer.max_text_tokens": integer(2 * len(PROPERTIES), MAX_ROWS),
    "batch.rows": integer(1, 1 << 20),
    "batch.microbatch_rows": unset_or(integer(1, 1 << 20)),
    "batch.slots": integer(1, 1 << 12),
    **dict.fromkeys(("batch.protein_tokens", "batch.text_tokens"), ROWS),
    "masking.passes": one_of(tuple(MASKS)),
    **dict.fromkeys(("sampling.alpha", "sampling.beta", "sampling.gamma"), EXPONENT),
    "sampling.drop_confidence": some_of(EXISTENCE),
    "sampling.drop_coverage": some_of(range(1, len(PROPERTIES) + 1)),
    **{f"sampling.sources.{source}": unset_or(WEIGHT) for source in SOURCES},
    **{f"loss.{name}": WEIGHT for name in OBJECTIVES},
    "loss.mask_duplicates": FLAG,
    "loss.contrast_chunk": integer(0, MAX_STEPS),
    "pda.theta": SHARE,
    "pda.negatives": one_of((*NEGATIVES, LATE_INTERACTION)),
    "pda.pooling": one_of(tuple(POOLINGS)),
    **dict.fromkeys(("pda.prototypes", "pda.mask_prefix"), FLAG),
    "model.projection_dim": WIDTH,
    "model.num_prototypes": ROWS,
    "model.prototype_temperature": number("above 0", lambda x: x > 0),
    "model.dtype": one_of(("float32", "bfloat16")),
    "model.attention": one_of((AUTO, *BACKENDS)),
    "model.remat": one_of((AUTO_REMAT, *REMAT_POLICIES)),
    "optimizer.learning_rate": WEIGHT,
    "optimizer.schedule": one_of(("linear", "cosine", "constant")),
    "optimizer.warmup_fraction": SHARE,
    **dict.fromkeys(("optimizer.b1", "optimizer.b2"), DECAY),
    **dict.fromkeys(("optimizer.eps", "optimizer.weight_decay", "optimizer.clip_norm"), WEIGHT),
    "optimizer.groups": rules('multiplier or "frozen"', lambda x: x == "frozen" or (is_number(x) and x >= 0)),
    **{f"init.{name}": unset_or(TEXT) for name in ("protein", "text", "all")},
    **dict.fromkeys(("mesh.data", "mesh.fsdp"), AXIS),
    "mesh.rules": rules('"fsdp" or "replicate"', lambda x: x in ("fsdp", "replicate")),
}
"""By path; what stands before a dot is a group."""

GROUPS = frozenset(path.rpartition(".")[0] for path in FIELDS) - {""} | {"evals"}

_SIZES = ("num_layers", "hidden_size", "num_heads", "intermediate_size")
_ENCODER = {
    **dict.fromkeys(_SIZES, WIDTH),
    **dict.fromkeys(("initializer_range", "layer_norm_eps"), FRACTION),
}
TOWERS: dict[str, dict[str, Kind]] = {
    "model.protein": {**_ENCODER, "token_dropout": FLAG},
    "model.text": {**_ENCODER, "max_positions": ROWS},
}
"""Groups of fields of which some have defaults; None where a checkpoint has no such tower."""

EVALUATION = {
    "split": TEXT,
    "pool": integer(2, MAX_STEPS),
    "max_existence": unset_or(integer(1, max(EXISTENCE))),
    "every": STEPS,
    "benchmark": TEXT,
    "data_dir": TEXT,
    "limit": unset_or(ROWS),
}
"""Fields of the groups in `evals`, all with defaults; whether an evaluation has them is its own to say."""


def check_present(config: Mapping, *, name: str) -> None:
    """Checks every known field that is there; `name` says in errors where the config comes from.

    Raises:
      UserError: a value is of the wrong type or out of its range.
    """
    for path, field in FIELDS.items():
        parent, _, last = path.rpartition(".")
        values = _group(config, parent, name=name)
        if last in values:
            _check(path, values[last], field, name=name)
    for path, fields in _open_groups(config, name=name):
        for last, value in _group(config, path, name=name).items():
            if last in fields:
                _check(f"{path}.{last}", value, fields[last], name=name)
            elif path in TOWERS:
                raise UserError(f"{name} has the unknown field {path}.{last}; known are {', '.join(fields)}.")


def require(config: Mapping, *paths: str, name: str) -> None:
    """Raises UserError for a field or group that is not there."""
    for path in paths:
        parent, _, last = path.rpartition(".")
        if last not in _group(config, parent, name=name):
            raise UserError(f"{name} has no field {path}; configs/protclip_650m.py shows every field.")


def require_model(config: Mapping, *towers: str, name: str) -> None:
    """Refuses a config that does not describe a model with these `TOWERS`, or with either one where none is named.

    Raises:
      UserError: a shape is missing, or texts are longer than the text tower's table of positions.
    """
    of_model = [path for path in FIELDS if path.startswith("model.")]
    require(config, *of_model, *TOWERS, "tokenizer.max_text_tokens", "pda.theta", name=name)
    present = [tower for tower in TOWERS if tower in towers or _group(config, tower, name=name)]
    if not present:
        raise UserError(f"{name} describes neither a protein nor a text tower; give the config of a model.")
    require(config, *(f"{tower}.{field}" for tower in present for field in _SIZES), name=name)
    longest = config["tokenizer"]["max_text_tokens"]
    positions = _group(config, "model.text", name=name).get("max_positions", BertConfig.max_positions)
    if "model.text" in present and longest > positions:
        raise UserError(f"{name}: tokenizer.max_text_tokens={longest} is above model.text.max_positions={positions}.")


def refuse_unknown(config: Mapping, *, name: str) -> None:
    """Raises UserError for a field that nothing would read."""
    known = {*FIELDS, *GROUPS, *(path for path, _ in _open_groups(config, name=name))}
    for path in ["", *sorted(GROUPS - {"evals"})]:
        for last in _group(config, path, name=name):
            field = f"{path}.{last}".removeprefix(".")
            if field not in known:
                raise UserError(f"{name} has the unknown field {field}; configs/protclip_650m.py shows every field.")


def _open_groups(config: Mapping, *, name: str) -> Iterator[tuple[str, Mapping[str, Kind]]]:
    yield from TOWERS.items()
    for evaluation in _group(config, "evals", name=name):
        yield f"evals.{evaluation}", EVALUATION


def _group(config: Mapping, path: str, *, name: str) -> Mapping:
    """The group of that path ('' = the whole), empty where it is absent or None."""
    found = config
    for part in path.split(".") if path else ():
        found = found[part] if part in found and found[part] is not None else {}
        if not (isinstance(found, Mapping) or hasattr(found, "to_dict")):
            raise UserError(
                f"{name}: {path}={reprlib.repr(found)} must be a group of fields; configs/protclip_650m.py shows it."
            )
    return found


def _check(path: str, value: object, field: Kind, *, name: str) -> None:
    if not field.allows(value):
        raise UserError(f"{name}: {path}={reprlib.repr(value)} must be {field.wanted}.")

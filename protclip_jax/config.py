"""From a config to the parts that run: the network's shape, the objectives, and checks before anything expensive."""

from collections.abc import Mapping

from data_pipelines.errors import UserError
from data_pipelines.masking import MASKS
from protclip_jax.attention import IMPLEMENTATIONS
from protclip_jax.forward import ObjectiveConfig
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.esm2 import ESM2Config
from protclip_jax.models.protclip import ProtCLIPConfig
from protclip_jax.objectives.segment_alignment import NEGATIVES


def model_config(config: Mapping, *, text_vocab_size: int) -> ProtCLIPConfig:
    """The network's shape from `config.model`; the text vocabulary's size comes from the tokenizer.

    A tower that a converted checkpoint lacks is None there.
    """
    model = config["model"]
    shared = {name: model[name] for name in ("dtype", "attention", "remat")}
    heads = {name: model[name] for name in ("projection_dim", "num_prototypes", "prototype_temperature")}
    return ProtCLIPConfig(
        protein=ESM2Config(**model["protein"], **shared) if model["protein"] else None,
        text=BertConfig(**model["text"], vocab_size=text_vocab_size, **shared) if model["text"] else None,
        **heads,
    )


def objective_config(config: Mapping) -> ObjectiveConfig:
    """The objectives' weights and options from `config.loss`, `config.pda` and `config.masking`."""
    return ObjectiveConfig(**config["loss"], **config["pda"], masked_passes=config["masking"]["passes"])


def check(config: Mapping) -> None:
    """Raises `UserError` for fields that are missing, unknown choices, and values that cannot go together."""
    if config["data"]["dir"] is None:
        raise UserError("data.dir is not set; pass --config.data.dir=DIR, a dataset made by `python -m data_pipelines.build`.")
    if config["tokenizer"]["text"] is None:
        raise UserError("tokenizer.text is not set; pass --config.tokenizer.text=vocab.txt.")
    choices = {
        "masking.passes": (config["masking"]["passes"], MASKS),
        "pda.negatives": (config["pda"]["negatives"], NEGATIVES),
        "model.attention": (config["model"]["attention"], IMPLEMENTATIONS),
    }
    for name, (value, known) in choices.items():
        if value not in known:
            raise UserError(f"{name}='{value}' is unknown; use one of {', '.join(known)}.")
    for name in ("log_every", "eval_every", "checkpoint_every", "total_steps"):
        if config[name] < 1:
            raise UserError(f"{name}={config[name]} must be at least 1.")
    if config["checkpoint_every"] % config["eval_every"]:
        raise UserError("checkpoint_every must be a multiple of eval_every: the best checkpoint is chosen by its evaluation.")

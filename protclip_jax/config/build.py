"""From a config to the parts that run: the network's shape, the objectives, and checks before anything expensive."""

from collections.abc import Mapping, Sequence

import jax

from data_pipelines.common.errors import UserError
from protclip_jax.attention.registry import AUTO, BACKENDS, backend_for
from protclip_jax.config import fields as config_fields
from protclip_jax.config.fields import AUTO_REMAT, OBJECTIVES
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.esm2 import ESM2Config
from protclip_jax.models.layers import REMAT_POLICIES
from protclip_jax.models.protclip import ProtCLIPConfig
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.objectives.late_interaction import LATE_INTERACTION

_NAME = "the config"


def model_config(config: Mapping, *, text_vocab_size: int, platform: str | None = None) -> ProtCLIPConfig:
    """The network's shape from `config.model`; the text vocabulary's size comes from the tokenizer.

    A tower that a converted checkpoint lacks is None there. `platform` ('cpu', 'gpu', 'tpu') is that of the devices which
    will run it, by default JAX's own; an attention that these cannot compute gives way to theirs, which gives the same numbers.
    Of several remat policies (see `remat_policies`) the network has the one that keeps least.
    """
    model = config["model"]
    shared = {name: model[name] for name in ("dtype", "attention")} | {"remat": remat_policies(config)[-1]}
    platform = platform or jax.default_backend()
    shared["attention"] = backend_for(shared["attention"], platform, shared["dtype"])
    heads = {name: model[name] for name in ("projection_dim", "num_prototypes", "prototype_temperature")}
    return ProtCLIPConfig(
        protein=ESM2Config(**model["protein"], **shared) if model["protein"] else None,
        text=BertConfig(**model["text"], vocab_size=text_vocab_size, **shared) if model["text"] else None,
        **heads,
    )


def remat_policies(config: Mapping) -> tuple[str, ...]:
    """Those that `config.model.remat` allows, from the most memory and the least arithmetic on; several where it is 'auto'."""
    chosen = config["model"]["remat"]
    return tuple(REMAT_POLICIES) if chosen == AUTO_REMAT else (chosen,)


def objective_config(config: Mapping, *, prefix_tokens: Sequence[int] = ()) -> ObjectiveConfig:
    """The objectives' weights and options from `config.loss`, `config.pda` and `config.masking`.

    `prefix_tokens` are the text tokenizer's, for a config that masks the properties' prefixes.
    """
    return ObjectiveConfig(
        **config["loss"],
        **{name: value for name, value in config["pda"].items() if name != "mask_prefix"},
        prefix_tokens=tuple(prefix_tokens) if config["pda"]["mask_prefix"] else (),
        masked_passes=config["masking"]["passes"],
    )


def check(config: Mapping) -> None:
    """Raises `UserError` for missing and unknown fields, values out of their range, and those that do not go together."""
    config_fields.refuse_unknown(config, name=_NAME)
    config_fields.require(config, *config_fields.FIELDS, *config_fields.TOWERS, name=_NAME)
    config_fields.check_present(config, name=_NAME)
    config_fields.require_model(config, *config_fields.TOWERS, name=_NAME)
    if not any(config["loss"][name] for name in OBJECTIVES):
        fields = ", ".join(f"loss.{name}" for name in OBJECTIVES)
        raise UserError(f"{fields} are all 0, so nothing would be learnt; give one a weight.")
    if config["pda"]["pooling"] != "segment" and config["pda"]["negatives"] != LATE_INTERACTION:
        raise UserError(
            f"pda.pooling={config['pda']['pooling']} goes with pda.negatives={LATE_INTERACTION} only, "
            f"not with {config['pda']['negatives']}; set that, or leave pda.pooling=segment."
        )
    if config["checkpoint_every"] % config["eval_every"]:
        raise UserError("checkpoint_every must be a multiple of eval_every: the best checkpoint is chosen by its evaluation.")
    for name, options in dict(config["evals"]).items():
        if (options.get("every") or config["eval_every"]) % config["eval_every"]:
            raise UserError(f"evals.{name}.every must be a multiple of eval_every, {config['eval_every']} here.")


def check_platform(config: Mapping) -> None:
    """Raises `UserError` where the config asks for an attention that this machine's devices cannot compute."""
    model = config["model"]
    if model["attention"] == AUTO:
        return
    if needed := BACKENDS[model["attention"]].lacking(jax.default_backend(), model["dtype"]):
        raise UserError(f"model.attention='{model['attention']}' needs {needed}; use 'auto'.")


def check_sources(config: Mapping) -> None:
    """Raises `UserError` where the config names no data or no vocabulary to train with."""
    if config["data"]["dir"] is None:
        raise UserError("data.dir is not set; pass --config.data.dir=DIR, a dataset made by `python -m data_pipelines.build`.")
    if config["tokenizer"]["text"] is None:
        raise UserError("tokenizer.text is not set; pass --config.tokenizer.text=vocab.txt.")

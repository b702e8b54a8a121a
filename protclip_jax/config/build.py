"""Builds the network's shape and the objectives from a config, for the available devices."""

import sys
from collections.abc import Mapping, Sequence

import jax

from data_pipelines.common.errors import UserError
from protclip_jax.attention.backend import Target
from protclip_jax.attention.registry import AUTO, BACKENDS, backend_for, defaults
from protclip_jax.config.schema import AUTO_REMAT
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.esm2 import ESM2Config
from protclip_jax.models.heads import UNIT
from protclip_jax.models.layers import REMAT_POLICIES
from protclip_jax.models.protclip import ProtCLIPConfig
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.objectives.registry import OBJECTIVES


def model_config(
    config: Mapping, *, text_vocab_size: int, target: Target | None = None
) -> ProtCLIPConfig:
    """The network's shape from `config.model`; the text vocabulary's size comes from the tokenizer.

    A tower that a converted checkpoint lacks is None there. `target` are the devices which will run
    it, by default JAX's own; an attention that these cannot compute gives way to theirs, which
    gives the same numbers.
    Of several remat policies (see `remat_policies`) the network has the one that keeps least.
    """
    model = config["model"]
    dtype, remat = model["dtype"], remat_policies(config)[-1]
    attention = backend_for(model["attention"], target or own_target(), dtype)
    protein = text = None
    if model["protein"]:
        protein = ESM2Config(**model["protein"], dtype=dtype, attention=attention, remat=remat)
    if model["text"]:
        shape = model["text"]
        text = BertConfig(
            **shape, vocab_size=text_vocab_size, dtype=dtype, attention=attention, remat=remat
        )
    return ProtCLIPConfig(
        protein=protein,
        text=text,
        projection_dim=model["projection_dim"],
        num_prototypes=model["num_prototypes"],
        prototype_temperature=model["prototype_temperature"],
        # Reading a checkpoint does not depend on how its training began.
        prototype_init=(config.get("pda") or {}).get("prototype_init", UNIT),
        # Checkpoints of older code or of other models lack this objective.
        sigmoid=bool((config.get("loss") or {}).get("sigmoid")),
    )


def remat_policies(config: Mapping) -> tuple[str, ...]:
    """The remat policies that `config.model.remat` allows, those with the most memory first.

    Several if it is 'auto'.
    """
    chosen = config["model"]["remat"]
    return tuple(REMAT_POLICIES) if chosen == AUTO_REMAT else (chosen,)


def objective_config(config: Mapping, *, prefix_tokens: Sequence[int] = ()) -> ObjectiveConfig:
    """The objectives' weights and options.

    `prefix_tokens` are the text tokenizer's, for a config that masks the properties' prefixes.
    """
    of_objectives = {}
    for name, kind in OBJECTIVES.items():
        of_objectives[name] = config["loss"][name]
        for option in kind.options:
            value = config[name][option]
            # JSON, in which checkpoints keep their config, has lists for tuples.
            of_objectives[option] = tuple(value) if isinstance(value, list) else value
    return ObjectiveConfig(
        **of_objectives,
        mask_duplicates=config["loss"]["mask_duplicates"],
        contrast_chunk=config["loss"]["contrast_chunk"],
        prefix_tokens=tuple(prefix_tokens) if config["pda"]["mask_prefix"] else (),
        masked_passes=config["masking"]["passes"],
    )


def own_target() -> Target:
    """The devices that JAX finds here."""
    return Target.of(jax.devices()[0])


def check_platform(config: Mapping) -> None:
    """Raises `UserError` if this machine's devices cannot compute the config's attention."""
    check_attention(config, own_target())


def check_attention(config: Mapping, target: Target) -> None:
    """Notes on stderr if 'auto' does not get the platform's best attention.

    Raises:
      UserError: the devices cannot compute the config's attention.
    """
    model = config["model"]
    requested = model["attention"]
    best = BACKENDS[requested] if requested != AUTO else next(iter(defaults(target.platform)), None)
    needed = best and best.lacking(target, model["dtype"])
    if needed and requested != AUTO:
        raise UserError(f"model.attention='{requested}' needs {needed}; use 'auto'.")
    if needed and jax.process_index() == 0:
        taken = backend_for(AUTO, target, model["dtype"])
        print(f"note: attention is {taken}; {best.name} needs {needed}.", file=sys.stderr)

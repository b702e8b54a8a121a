"""Property vectors for PDA: prototypes of the text embeddings (paper), or the embeddings."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from data_pipelines.training.batch import Batch
from protclip_jax.models.protclip import ProtCLIPModel


def without_prefixes(batch: Batch, prefix_tokens: tuple[int, ...]) -> Int[Array, "R Lt"]:
    """Text segment ids with 0 at the property prefixes, which follow [CLS].

    `prefix_tokens` holds the lengths of the four prefixes (`TextTokenizer.prefix_tokens`).
    """
    lengths = jnp.array((-1, *prefix_tokens))[batch.text_property_ids]
    in_prefix = (batch.text_positions >= 1) & (batch.text_positions <= lengths)
    return jnp.where(in_prefix, 0, batch.text_segment_ids)


def property_embeddings(
    run: Callable[..., Float[Array, "..."]],
    batch: Batch,
    text_hidden: Float[Array, "R Lt T"],
    *,
    prefix_tokens: tuple[int, ...] = (),
) -> Float[Array, "R S 4 P"]:
    """The text embedding e_k of every property of every slot, not normalised.

    Args:
      run: `run(ProtCLIPModel.method, *arguments)` calls a method of the model with its parameters.
      batch: packed rows.
      text_hidden: token representations of the text tower.
      prefix_tokens: prefix lengths as in `without_prefixes`, which excludes the prefixes from the
        mean; () includes them (paper).
    """
    ids = without_prefixes(batch, prefix_tokens) if prefix_tokens else batch.text_segment_ids
    slots = batch.slot_mask.shape[1]
    return run(ProtCLIPModel.project_text_segments, text_hidden, ids, slots)[:, :, 1:]


def property_vectors(
    run: Callable[..., Float[Array, "..."]],
    embedded: Float[Array, "R S 4 P"],
    noise: Float[Array, "R S 4 M"] | None,
    *,
    prototypes: bool,
) -> Float[Array, "R S 4 P"]:
    """The vector t_k of every property of every slot, not normalised.

    Args:
      run: as in `property_embeddings`.
      embedded: text embeddings from `property_embeddings`.
      noise: Gumbel noise of the prototype bank, in training.
      prototypes: whether the prototype bank re-expresses the embedding (paper).
    """
    return run(ProtCLIPModel.prototypes, embedded, noise) if prototypes else embedded

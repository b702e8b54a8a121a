"""Uses the first dimensions of embeddings as embeddings.

This works only with a model that was trained for it (`loss.matryoshka`).
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import print_status
from protclip_jax.config.schema import completed


def first_dimensions(
    embeddings: Float[np.ndarray, "n d"], dimensions: int
) -> Float[np.ndarray, "n m"]:
    """The first `dimensions` of embeddings, normalised again; unchanged if that is all of them.

    Raises:
      UserError: the embeddings have fewer dimensions.
    """
    width = embeddings.shape[1]
    check_dimensions(dimensions, width)
    if dimensions == width:
        return embeddings
    kept = embeddings[:, :dimensions]
    norms = np.linalg.norm(kept, axis=1, keepdims=True)
    return kept / np.maximum(norms, np.finfo(np.float32).tiny)


def check_dimensions(dimensions: int, width: int) -> None:
    """Raises `UserError` unless embeddings of that width have `dimensions` dimensions."""
    if not 0 < dimensions <= width:
        raise UserError(
            f"dimensions={dimensions} must be from 1 to {width}, the width of the embeddings."
        )


def warn_untrained(config: Mapping) -> None:
    """Warns on stderr if the config shows a model trained without `loss.matryoshka`."""
    if not completed(config)["loss"]["matryoshka"]:
        print_status(
            "warning: the checkpoint was trained without loss.matryoshka; its first dimensions "
            "alone carry little information."
        )

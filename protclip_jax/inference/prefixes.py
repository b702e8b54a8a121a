"""The first dimensions of embeddings as embeddings of their own.

They are worth something only of a model that was trained for it (`loss.matryoshka`).
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import tell
from protclip_jax.config.schema import completed


def first_dimensions(
    embeddings: Float[np.ndarray, "n d"], dimensions: int
) -> Float[np.ndarray, "n m"]:
    """The first `dimensions` of embeddings, brought back to unit norm; all of them as they are.

    Raises:
      UserError: there are fewer.
    """
    width = embeddings.shape[1]
    check_dimensions(dimensions, width)
    if dimensions == width:
        return embeddings
    kept = embeddings[:, :dimensions]
    norms = np.linalg.norm(kept, axis=1, keepdims=True)
    return kept / np.maximum(norms, np.finfo(np.float32).tiny)


def check_dimensions(dimensions: int, width: int) -> None:
    """Raises `UserError` where embeddings of that width have not so many dimensions."""
    if not 0 < dimensions <= width:
        raise UserError(
            f"dimensions={dimensions} must be from 1 to {width}, the width of the embeddings."
        )


def tell_untrained(config: Mapping) -> None:
    """Warns on stderr of a checkpoint, given by its config, whose first dimensions alone were
    not trained."""
    if not completed(config)["loss"]["matryoshka"]:
        tell(
            "warning: the checkpoint was trained without loss.matryoshka; its first "
            "dimensions alone say little."
        )

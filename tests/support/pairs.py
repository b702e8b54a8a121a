"""Random pairs of proteins and texts in the slots of a batch, for the contrasts over them."""

import jax.numpy as jnp
import numpy as np

from protclip_jax.objectives.global_contrastive import Pairs

RECORDS, WIDTH, NUM_SLOTS = 6, 8, 10
TEXT_HASHES = np.array([11, 12, 13, 11, 14, 15], np.uint32)
SEQUENCE_HASHES = np.array([21, 22, 22, 23, 24, 24], np.uint32)
DUPLICATES = ((0, 3), (1, 2), (4, 5))
SLOTS = {
    "in_order": [0, 1, 2, 3, 4, 5],
    "gaps": [0, 2, 3, 5, 6, 8],
    "permuted_with_gaps": [9, 1, 5, 0, 3, 7],
}


def random_inputs(seed):
    """Unit-norm embeddings of the records in float64, and a log scale."""
    rng = np.random.default_rng(seed)
    protein, text = (
        x / np.linalg.norm(x, axis=-1, keepdims=True) for x in rng.normal(size=(2, RECORDS, WIDTH))
    )
    return {"logit_scale": np.float64(2.0), "protein": protein, "text": text}


def placed(x, slots):
    """The records at `slots` of `NUM_SLOTS`; the empty slots hold something, as projections of
    them do."""
    text_hash, sequence_hash = (
        jnp.zeros(NUM_SLOTS, jnp.uint32).at[slots].set(h) for h in (TEXT_HASHES, SEQUENCE_HASHES)
    )
    mask = jnp.zeros(NUM_SLOTS, bool).at[slots].set(True)
    protein, text = (
        jnp.full((NUM_SLOTS, WIDTH), 0.7).at[slots].set(x[name]) for name in ("protein", "text")
    )
    return Pairs(protein, text, mask, sequence_hash, text_hash)


def without_hashes(protein, text, real):
    """Pairs that are all of one text and one sequence."""
    return Pairs(protein, text, jnp.asarray(real), *(jnp.zeros(len(real), jnp.uint32),) * 2)

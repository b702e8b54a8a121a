"""Random properties and residues of packed rows, for the objectives that align them."""

import numpy as np

from tests.support.packed import PLACEMENTS, pack_slots, pack_tokens

THETA = 0.3


WIDTH, PROPERTIES = 6, 4


RESIDUES = (7, 12, 5, 9, 4, 1)


# Per record the hash of each property's text, 0 = absent: all, some, two, and one property; records
# 0 and 1 share a function, records 0 and 3 a similarity.
HASHES = np.array(
    [[1, 9, 3, 8], [2, 9, 0, 4], [5, 0, 6, 0], [7, 0, 0, 8], [11, 0, 0, 0], [12, 13, 14, 15]],
    np.uint32,
)


def random_inputs(seed):
    rng = np.random.default_rng(seed)
    # Each protein has a special token at either end.
    proteins = [rng.normal(size=(n + 2, WIDTH)) for n in RESIDUES]
    prototypes = [rng.normal(size=(PROPERTIES, WIDTH)) for _ in RESIDUES]
    return {"proteins": proteins, "prototypes": prototypes, "logit_scale": np.float64(1.5)}


def packed_inputs(x, placement):
    """Arguments of the loss; at specials the slot id is 0, though their tokens hold something."""
    positions = PLACEMENTS[placement]
    p, _ = pack_tokens(x["proteins"], positions)
    inside = [np.pad(np.ones(len(protein) - 2, bool), 1) for protein in x["proteins"]]
    residues, slot_ids = pack_tokens(inside, positions)
    return p, np.where(residues, slot_ids, 0), pack_slots(x["prototypes"], positions)

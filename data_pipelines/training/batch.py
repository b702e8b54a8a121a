"""The packed batch: R rows of up to S records, in the same slots of both towers' inputs."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

NUM_TEXT_SEGMENTS = 5
"""Text segments of a slot: 0 the full biotext, 1…4 the properties in `record.PROPERTIES` order."""


class Batch(NamedTuple):
    """Arrays of one packed batch (a JAX pytree). Slot ids are 1…S; 0 is padding.

    An unpacked batch has S = 1. Padding has the pad token, slot 0 and position 0.
    """

    protein_tokens: np.ndarray
    """int32 [R, Lp]: <cls> residues <eos> of each slot, without masking."""
    protein_slot_ids: np.ndarray
    """int32 [R, Lp]."""
    protein_positions: np.ndarray
    """int32 [R, Lp]: restart at 0 in each slot."""
    mlm_mask: np.ndarray
    """bool [R, Lp]: residues to replace by <mask> for masked language modelling."""
    segment_mask: np.ndarray
    """bool [R, Lp]: residues of the static segments to mask for segment reconstruction (BSR)."""
    residue_properties: np.ndarray
    """uint8 [R, Lp]: bit k marks residues that features assign to `record.PROPERTIES[k]`.

    See `features.property_bits`. All 0 if the records come without features.
    """
    text_tokens: np.ndarray
    """int32 [R, Lt]: [CLS] … [SEP] of each segment; a slot's full biotext, then its properties."""
    text_segment_ids: np.ndarray
    """int32 [R, Lt]: (slot - 1) * 5 + property + 1; unique per segment, ascending; 0 is padding."""
    text_slot_ids: np.ndarray
    """int32 [R, Lt]."""
    text_property_ids: np.ndarray
    """int32 [R, Lt]: 0 full biotext, 1…4 properties; also 0 at padding (slot id 0)."""
    text_positions: np.ndarray
    """int32 [R, Lt]: restart at 0 in each segment."""
    slot_mask: np.ndarray
    """bool [R, S]: which slots hold a record."""
    text_hashes: np.ndarray
    """uint32 [R, S, 5]: hashes of the tokens of full biotext and properties; 0 = absent."""
    sequence_hashes: np.ndarray
    """uint32 [R, S]: hashes of the whole sequences, before cropping; 0 = empty slot."""
    noise_seeds: np.ndarray
    """uint32 [R, S]: seeds of the records' Gumbel noise, a pure function of (seed, draw)."""

    @property
    def described(self) -> Bool[np.ndarray, "R S"]:
        """Which slots hold a record with text (a pair); the others only serve MLM."""
        return self.slot_mask & (self.text_hashes[:, :, 0] != 0)

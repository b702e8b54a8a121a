"""The packed batch: R rows, each holding up to S records in both towers' inputs, the same
records in the same slots."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

NUM_TEXT_SEGMENTS = 5
"""Text segments of a slot: 0 the full biotext, 1…4 the properties in `record.PROPERTIES` order."""


class Batch(NamedTuple):
    """Arrays of one packed batch (a pytree for JAX). Slot ids are 1…S, 0 = padding.

    An unpacked batch is the same thing with S = 1. Padding holds the pad token, slot 0, position 0.
    """

    protein_tokens: np.ndarray
    """int32 [R, Lp]: <cls> residues <eos> of each slot, never masked here."""
    protein_slot_ids: np.ndarray
    """int32 [R, Lp]."""
    protein_positions: np.ndarray
    """int32 [R, Lp]: restart at 0 in every slot."""
    mlm_mask: np.ndarray
    """bool [R, Lp]: residues to replace by <mask> for masked language modelling."""
    segment_mask: np.ndarray
    """bool [R, Lp]: residues of the static segments to mask for segment reconstruction (BSR)."""
    residue_properties: np.ndarray
    """uint8 [R, Lp]: bit k is set where the record's features assign the residue to property k of
    `record.PROPERTIES` (`features.property_bits`); 0 throughout where the records come without
    features."""
    text_tokens: np.ndarray
    """int32 [R, Lt]: [CLS] … [SEP] of each segment; a slot's full biotext first, then its
    properties."""
    text_segment_ids: np.ndarray
    """int32 [R, Lt]: (slot - 1) * 5 + property + 1, unique per slot and segment, ascending; 0 =
    padding."""
    text_slot_ids: np.ndarray
    """int32 [R, Lt]."""
    text_property_ids: np.ndarray
    """int32 [R, Lt]: 0 full biotext, 1…4 properties; 0 at padding too (its slot id is 0)."""
    text_positions: np.ndarray
    """int32 [R, Lt]: restart at 0 in every segment."""
    slot_mask: np.ndarray
    """bool [R, S]: which slots hold a record."""
    text_hashes: np.ndarray
    """uint32 [R, S, 5]: of the tokens of the full biotext and of each property's; 0 = absent."""
    sequence_hashes: np.ndarray
    """uint32 [R, S]: of the whole sequence, before cropping; 0 = empty slot."""
    noise_seeds: np.ndarray
    """uint32 [R, S]: the seed of each record's Gumbel noise, a pure function of (seed, draw)."""

    @property
    def described(self) -> Bool[np.ndarray, "R S"]:
        """Which slots hold a record with text: a pair. The others serve masked language
        modelling alone."""
        return self.slot_mask & (self.text_hashes[:, :, 0] != 0)

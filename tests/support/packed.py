"""Laying separate records out in packed rows."""

import numpy as np

ROWS, SLOTS, LENGTH = 6, 4, 48
"""One shape for every placement, so that a test compiles once."""

PLACEMENTS = {
    "one_per_row": [(row, 1) for row in range(6)],
    "packed": [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)],
    "permuted_with_gaps": [(5, 4), (0, 3), (5, 1), (0, 1), (1, 2), (5, 2)],
}
"""The (row, slot) of each of six records; slots count from 1."""


def pack_tokens(sequences, positions):
    """Sequences [n, …] of the records → values [ROWS, LENGTH, …] (padding 0) and slot ids int32
    [ROWS, LENGTH]."""
    values = np.zeros((ROWS, LENGTH, *sequences[0].shape[1:]), sequences[0].dtype)
    slot_ids = np.zeros((ROWS, LENGTH), np.int32)
    for (row, slot), sequence in sorted(
        zip(positions, sequences, strict=True), key=lambda item: item[0]
    ):
        start = np.count_nonzero(slot_ids[row])
        values[row, start : start + len(sequence)] = sequence
        slot_ids[row, start : start + len(sequence)] = slot
    return values, slot_ids


def pack_slots(items, positions):
    """One array per record → [ROWS, SLOTS, …], zeros at empty slots."""
    values = np.zeros((ROWS, SLOTS, *np.shape(items[0])), np.asarray(items[0]).dtype)
    for (row, slot), item in zip(positions, items, strict=True):
        values[row, slot - 1] = item
    return values

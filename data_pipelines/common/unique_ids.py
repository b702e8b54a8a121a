"""Unique ids for the items of an input, using eight bytes of memory per item."""

import numpy as np
from jaxtyping import UInt64

from data_pipelines.common.hashing import hash64


class UniqueIds:
    """Gives the items of an input unique ids, in order.

    The k-th item (k ≥ 2) with id `x` becomes `x_k`; if the input has an item named `x_k`, k is
    increased until the name is free. Ids are compared by their 64-bit hashes. A collision (one
    chance in 500 among 250 million ids) would only give the later id a needless suffix.

    Attributes:
      duplicates: the number of ids that change.
    """

    def __init__(self, hashes: UInt64[np.ndarray, " n"]):
        """`hashes` are the `hash64` of every item's id."""
        self._hashes, counts = np.unique(hashes, return_counts=True)
        self._last = dict.fromkeys(self._hashes[counts > 1].tolist(), 0)
        self.duplicates = int((counts - 1).sum())

    def unique(self, name: str) -> str:
        """The unique id of the next item, whose original id is `name`."""
        key = hash64(name)
        if key not in self._last:
            return name
        number = self._last[key] + 1
        while number > 1 and self._is_taken(f"{name}_{number}"):
            number += 1
        self._last[key] = number
        return name if number == 1 else f"{name}_{number}"

    def _is_taken(self, name: str) -> bool:
        key = np.uint64(hash64(name))
        position = np.searchsorted(self._hashes, key)
        return position < self._hashes.size and self._hashes[position] == key

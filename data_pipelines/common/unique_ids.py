"""Making the ids of an input unique, with eight bytes of memory for each."""

import numpy as np
from jaxtyping import UInt64

from data_pipelines.common.hashing import hash64


class UniqueIds:
    """Gives the items of an input unique ids, one after the other in their order.

    The k-th item (k ≥ 2) of the same id `x` becomes `x_k`; where the input has an item called
    `x_k`, k is raised until it has none. Ids are known by 64-bit hashes: two different ones that
    share a hash (one chance in 500 among 250 million) would only give the later one a needless
    suffix.

    Attributes:
      duplicates: how many ids are changed.
    """

    def __init__(self, hashes: UInt64[np.ndarray, " n"]):
        """`hashes` are the `hash64` of every item's id."""
        self._hashes, counts = np.unique(hashes, return_counts=True)
        self._last = dict.fromkeys(self._hashes[counts > 1].tolist(), 0)
        self.duplicates = int((counts - 1).sum())

    def unique(self, name: str) -> str:
        """The id of the next item, which is called `name`."""
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

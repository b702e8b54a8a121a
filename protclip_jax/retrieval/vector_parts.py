"""The vectors of an index: memory-mapped files of unit-norm rows, read as one array."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32, Int64

BLOCK_ROWS = 1 << 16


class VectorParts:
    """Rows of float32 vectors in parts [n_i, d], numbered consecutively across parts.

    Attributes:
      parts: the arrays, usually memory maps.
    """

    def __init__(self, parts: Sequence[Float32[np.ndarray, "_ d"]]):
        """Raises ValueError if the parts differ in width."""
        self.parts = list(parts)
        if len(widths := sorted({part.shape[1] for part in self.parts})) > 1:
            raise ValueError(f"vectors of widths {' and '.join(map(str, widths))}")
        self._starts = np.cumsum([0, *(len(part) for part in self.parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def width(self) -> int:
        """The dimension d."""
        return self.parts[0].shape[1]

    def take(self, rows: Int64[np.ndarray, " m"]) -> Float32[np.ndarray, "m d"]:
        """Copies the vectors of the given rows."""
        of_part = np.searchsorted(self._starts, rows, side="right") - 1
        taken = np.empty((len(rows), self.width), np.float32)
        for number in np.unique(of_part):
            chosen = of_part == number
            taken[chosen] = self.parts[number][rows[chosen] - self._starts[number]]
        return taken

    def blocks(self, *, start: int = 0) -> Iterator[Float32[np.ndarray, "m d"]]:
        """Yields all rows from `start` on, in order, at most `BLOCK_ROWS` at a time."""
        for part, first in zip(self.parts, self._starts, strict=False):
            for row in range(max(0, start - int(first)), len(part), BLOCK_ROWS):
                yield part[row : row + BLOCK_ROWS]

    def numbered_parts(self) -> Iterator[tuple[int, Float32[np.ndarray, "n d"]]]:
        """Yields the first row number of each part, and the part."""
        return zip(self._starts[:-1].tolist(), self.parts, strict=True)

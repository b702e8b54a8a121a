"""Runs a jitted function on many examples, packed into rows of a few fixed shapes."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Float32

from data_pipelines.training.batch import Batch
from data_pipelines.training.examples import Example
from data_pipelines.training.packing import Packed, pack_all, pack_rows
from protclip_jax.distributed import sharding

SLOTS = 32
"""Slots per row: enough for 1,024 tokens of short peptides."""
MIN_ROW_TOKENS = 256
BULK_ROW_TOKENS = 1024
CPU_BATCH_TOKENS, ACCELERATOR_BATCH_TOKENS = 4096, 32768


class Place(NamedTuple):
    """The place of an example in a packed call: row, slot (from 0), and protein tokens in the row.

    `index` is the example's position in the input.
    """

    index: int
    row: int
    slot: int
    tokens: slice


def run_packed(
    function: Callable,
    examples: Sequence[Example],
    *,
    mesh: Mesh,
    weights: Sequence[np.ndarray] | None = None,
    batch_tokens: int | None = None,
    row_tokens: int = MIN_ROW_TOKENS,
) -> Iterator[tuple[Place, object]]:
    """Runs `function(batch, token weights [R, Lp])` on packed examples.

    Args:
      function: its arguments are divided over the mesh by rows. Its outputs have the rows as their
        first axis and are replicated on every device.
      weights: float32 [protein tokens] of each example; without them the function gets zeros.
      batch_tokens: maximum tokens of one call, unless a single row per device has more.
      row_tokens: minimum tokens of a row, a power of two. Longer rows mean fewer shapes to compile,
        and more padding.

    Yields:
      The place of each example, and the outputs of its call as NumPy arrays. Examples come in the
      order of the rows, not of the input. The next call runs while the results of one are read.
    """
    # Long examples need long rows, which would be mostly empty with the other examples.
    of_class = defaultdict(list)
    for index, example in enumerate(examples):
        longest = max(example.protein_length, example.text_length)
        of_class[max(BULK_ROW_TOKENS, _power_of_two(longest))].append(index)
    for indices in of_class.values():
        some = [examples[index] for index in indices]
        some_weights = [weights[index] for index in indices] if weights is not None else None
        tokens = batch_tokens or default_batch_tokens()
        for position, outputs in _run_one_shape(
            function, some, some_weights, mesh, tokens, row_tokens
        ):
            yield position._replace(index=indices[position.index]), outputs


def default_batch_tokens() -> int:
    """Tokens of one full call: enough to fill a GPU, or activations that fit a CPU's caches."""
    return CPU_BATCH_TOKENS if jax.default_backend() == "cpu" else ACCELERATOR_BATCH_TOKENS


def _run_one_shape(
    function: Callable,
    examples: Sequence[Example],
    weights: Sequence[np.ndarray] | None,
    mesh: Mesh,
    batch_tokens: int,
    min_row_tokens: int,
) -> Iterator[tuple[Place, object]]:
    lengths = np.array([(example.protein_length, example.text_length) for example in examples])
    totals = zip(lengths.max(0), lengths.sum(0), strict=True)
    protein, text = (_row_length(longest, total, min_row_tokens) for longest, total in totals)
    packed = pack_all(examples, slots=SLOTS, protein_tokens=protein, text_tokens=text)
    # A single query takes one row per device, everything else whole groups of rows.
    per_device = (
        1
        if len(packed.rows) <= mesh.size
        else max(1, batch_tokens // (max(protein, text) * mesh.size))
    )
    under_way = None
    for rows, positions in _groups(packed, examples, per_device * mesh.size):
        batch = pack_rows(rows, slots=SLOTS, protein_tokens=protein, text_tokens=text)
        with jax.set_mesh(mesh):
            outputs = function(*on_devices((batch, _laid_out(batch, positions, weights)), mesh))
        if under_way is not None:
            yield from _fetched(*under_way)
        under_way = outputs, positions
    yield from _fetched(*under_way)


def _row_length(longest: int, total: int, at_least: int) -> int:
    """Tokens of a packed row: a power of two that holds the longest example; 0 without tokens.

    At least `at_least`, and BULK_ROW_TOKENS if all tokens together fill such a row, so that few
    shapes serve all inputs.
    """
    if not longest:
        return 0
    return max(at_least, _power_of_two(longest), min(BULK_ROW_TOKENS, _power_of_two(total)))


def _power_of_two(number: int) -> int:
    """The smallest power of two that is at least `number`."""
    return 1 << (int(number) - 1).bit_length()


def _groups(
    packed: Packed, examples: Sequence[Example], size: int
) -> Iterator[tuple[list[list[Example]], list[Place]]]:
    """Groups of `size` rows, the last padded with empty rows, and the places of their examples."""
    members: list[list[Place]] = [[] for _ in range(-(-len(packed.rows) // size))]
    row_before, end = -1, 0
    for index in np.lexsort((packed.placement[:, 1], packed.placement[:, 0])).tolist():
        row, slot = packed.placement[index].tolist()
        start = end if row == row_before else 0
        row_before, end = row, start + examples[index].protein_length
        members[row // size].append(Place(index, row % size, slot, slice(start, end)))
    for group, positions in enumerate(members):
        rows = packed.rows[group * size : (group + 1) * size]
        yield rows + [[]] * (size - len(rows)), positions


def _laid_out(
    batch: Batch, positions: Sequence[Place], weights: Sequence[np.ndarray] | None
) -> Float32[np.ndarray, "R L"]:
    """The weights of the examples at the positions of their protein tokens; 0 at padding."""
    laid_out = np.zeros(batch.protein_tokens.shape, np.float32)
    for position in positions if weights is not None else ():
        laid_out[position.row, position.tokens] = weights[position.index]
    return laid_out


def everywhere(x: jax.Array) -> jax.Array:
    """Replicates an array on every device, within a jitted function."""
    return jax.lax.with_sharding_constraint(x, PartitionSpec())


def on_devices(inputs: tuple, mesh: Mesh) -> tuple:
    """Divides arrays [R, …], which every process has in full, over the devices by rows."""
    rows = sharding.rows_sharding(mesh)
    return jax.tree.map(
        lambda x: jax.make_array_from_callback(x.shape, rows, lambda index: x[index]), inputs
    )


def _fetched(outputs: object, positions: Sequence[Place]) -> Iterator[tuple[Place, object]]:
    arrays = jax.tree.map(np.asarray, outputs)
    for position in positions:
        yield position, arrays

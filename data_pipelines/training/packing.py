"""Packs records into rows of fixed shape, in the same slots of both towers' inputs.

Training packs an endless stream with first fit over a few open rows; its state is a few integers.
Evaluation and inference pack a finite list with best fit decreasing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.training.batch import NUM_TEXT_SEGMENTS, Batch
from data_pipelines.training.examples import Example

OPEN_ROWS = 16
"""Number of rows that a stream fills at once.

With proteins of median length 300 and rows of 2048/1536 tokens, 8, 16 and 32 open rows leave 3.8 %,
3.2 % and 2.8 % padding. A record waits at most about 7 draws per open row, and a restart reads 3
records per open row again.
"""


def _size(example: Example) -> np.ndarray:
    """The space an example takes in a row: slots, protein tokens, text tokens."""
    return np.array([1, example.protein_length, example.text_length])


def _check_fits(size: np.ndarray, room: np.ndarray) -> None:
    if (size > room).any():
        raise UserError(
            f"a record of {size[1]} protein and {size[2]} text tokens does not fit into a row of "
            f"{room[1]} and {room[2]}; increase batch.protein_tokens and batch.text_tokens, or "
            "crop to shorter examples."
        )


class StreamState(NamedTuple):
    """The position of a stream; the rest follows, as examples only depend on (seed, draw)."""

    next_draw: int
    """The next draw to read."""
    open_draws: tuple[tuple[int, ...], ...]
    """The draws in each open row, oldest row first, in slot order."""


def state_to_array(state: StreamState, *, slots: int) -> np.ndarray:
    """Encodes as int64 [1 + OPEN_ROWS * slots]: the next draw, then open rows padded with -1."""
    rows = np.full((OPEN_ROWS, slots), -1, np.int64)
    for row, draws in zip(rows, state.open_draws, strict=False):
        row[: len(draws)] = draws
    return np.concatenate([[state.next_draw], rows.ravel()])


def array_to_state(array: np.ndarray, *, slots: int) -> StreamState:
    """The inverse of `state_to_array`."""
    rows = np.reshape(array[1:], (OPEN_ROWS, slots))
    drawn = [tuple(row[row >= 0].tolist()) for row in rows]
    return StreamState(int(array[0]), tuple(filter(None, drawn)))


class Drawn(NamedTuple):
    """An example of a stream."""

    draw: int
    example: Example
    cropped: bool
    """Whether residues of the protein were cropped."""


def _draws(row: Sequence[Drawn]) -> tuple[int, ...]:
    return tuple(drawn.draw for drawn in row)


class RowPacker:
    """First-fit packing of one stream into OPEN_ROWS open rows.

    If an example fits into none, the oldest row is closed.
    """

    def __init__(self, *, slots: int, protein_tokens: int, text_tokens: int):
        self._room = np.array([slots, protein_tokens, text_tokens])
        self._rows: list[list[Drawn]] = []
        self._used = np.empty((0, 3), np.int64)

    @property
    def open_draws(self) -> tuple[tuple[int, ...], ...]:
        """The draws in each open row, as in `StreamState.open_draws`."""
        return tuple(map(_draws, self._rows))

    def add(self, drawn: Drawn) -> list[Drawn] | None:
        """Packs one example; returns the row that is closed, if any."""
        size = _size(drawn.example)
        (fitting,) = np.nonzero((self._used + size <= self._room).all(axis=1))
        if not fitting.size:
            return self.open([drawn])
        self._used[fitting[0]] += size
        self._rows[fitting[0]].append(drawn)
        return None

    def open(self, row: list[Drawn]) -> list[Drawn] | None:
        """Opens a row with some examples; returns the row that is closed, if any."""
        used = np.sum([_size(drawn.example) for drawn in row], axis=0)
        _check_fits(used, self._room)
        self._rows.append(row)
        self._used = np.vstack([self._used, used])[-OPEN_ROWS:]
        return self._rows.pop(0) if len(self._rows) > OPEN_ROWS else None


class Packed(NamedTuple):
    """A finite list of examples, packed into rows."""

    rows: list[list[Example]]
    placement: np.ndarray
    """int64 [examples, 2]: row and slot (from 0) of each example."""


def pack_all(
    examples: Sequence[Example], *, slots: int, protein_tokens: int, text_tokens: int
) -> Packed:
    """Packs with best fit decreasing: longest protein first, into the fullest row that has room."""
    room = np.array([slots, protein_tokens, text_tokens])
    rows: list[list[Example]] = []
    used = np.empty((len(examples), 3), np.int64)
    placement = np.empty((len(examples), 2), np.int64)
    for index in sorted(range(len(examples)), key=lambda i: -examples[i].protein_length):
        size = _size(examples[index])
        _check_fits(size, room)
        (fitting,) = np.nonzero((used[: len(rows)] + size <= room).all(axis=1))
        if fitting.size:
            row = fitting[np.argmax(used[fitting, 1])]
        else:
            row = len(rows)
            rows.append([])
            used[row] = 0
        placement[index] = row, len(rows[row])
        used[row] += size
        rows[row].append(examples[index])
    return Packed(rows, placement)


def pack_rows(
    rows: Sequence[Sequence[Example]], *, slots: int, protein_tokens: int, text_tokens: int
) -> Batch:
    """Builds the arrays of R rows of examples, slot by slot in order; rows may be empty.

    Shapes are as in `Batch`. Text padding is token 0, [PAD] in BERT's vocabularies; nothing attends
    to it or reads it.

    Raises:
      UserError: a row has more examples or tokens than fit.
    """
    protein, text = (len(rows), protein_tokens), (len(rows), text_tokens)
    batch = Batch(
        protein_tokens=np.full(protein, protein_tokenizer.PAD, np.int32),
        protein_slot_ids=np.zeros(protein, np.int32),
        protein_positions=np.zeros(protein, np.int32),
        mlm_mask=np.zeros(protein, bool),
        segment_mask=np.zeros(protein, bool),
        residue_properties=np.zeros(protein, np.uint8),
        text_tokens=np.zeros(text, np.int32),
        text_segment_ids=np.zeros(text, np.int32),
        text_slot_ids=np.zeros(text, np.int32),
        text_property_ids=np.zeros(text, np.int32),
        text_positions=np.zeros(text, np.int32),
        slot_mask=np.zeros((len(rows), slots), bool),
        text_hashes=np.zeros((len(rows), slots, NUM_TEXT_SEGMENTS), np.uint32),
        sequence_hashes=np.zeros((len(rows), slots), np.uint32),
        noise_seeds=np.zeros((len(rows), slots), np.uint32),
    )
    room = np.array([slots, protein_tokens, text_tokens])
    for row, examples in enumerate(rows):
        start = np.zeros(3, np.int64)
        for example in examples:
            end = start + _size(example)
            _check_fits(end, room)
            slot, p, t = start[0], slice(start[1], end[1]), slice(start[2], end[2])
            batch.protein_tokens[row, p] = example.protein_tokens
            batch.protein_slot_ids[row, p] = slot + 1
            batch.protein_positions[row, p] = np.arange(end[1] - start[1])
            batch.mlm_mask[row, p] = example.mlm_mask
            batch.segment_mask[row, p] = example.segment_mask
            batch.residue_properties[row, p] = example.residue_properties
            batch.text_tokens[row, t] = example.text_tokens
            batch.text_segment_ids[row, t] = (
                slot * NUM_TEXT_SEGMENTS + example.text_property_ids + 1
            )
            batch.text_slot_ids[row, t] = slot + 1
            batch.text_property_ids[row, t] = example.text_property_ids
            batch.text_positions[row, t] = example.text_positions
            batch.slot_mask[row, slot] = True
            batch.text_hashes[row, slot] = example.text_hashes
            batch.sequence_hashes[row, slot] = example.sequence_hash
            batch.noise_seeds[row, slot] = example.noise_seed
            start = end
    return batch

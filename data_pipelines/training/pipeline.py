"""The training input pipeline: draws → records → examples → packed rows, per logical stream.

The rows depend only on the seed. Stream s reads the draws s, s + streams, s + 2 · streams, … and
packs them independently, so hosts and worker processes only decide where a stream is computed.
Every row carries the state of its stream, so no state is stored in grain's own format.
"""

import contextlib
import dataclasses
import itertools
import signal
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Self

import grain
import numpy as np
from absl import flags

from data_pipelines.common.errors import UserError
from data_pipelines.common.processes import (
    follow_parent,
    start_silent_tracker,
    started_without_signals,
)
from data_pipelines.protanno.record import Record
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from data_pipelines.training.batch import Batch
from data_pipelines.training.examples import Masks, encode_example
from data_pipelines.training.packing import (
    Drawn,
    RowPacker,
    StreamState,
    array_to_state,
    pack_rows,
    state_to_array,
)
from data_pipelines.training.sampling import Sampler

_DRAWS_AT_ONCE = 128
"""Draws that a stream looks up per sampler call."""


class Counts(NamedTuple):
    """Totals of what went into rows; int64 scalars."""

    records: int | np.ndarray = 0
    protein_tokens: int | np.ndarray = 0
    text_tokens: int | np.ndarray = 0
    cropped_proteins: int | np.ndarray = 0
    cut_text_tokens: int | np.ndarray = 0


class Row(NamedTuple):
    """One packed row of a stream."""

    batch: Batch
    """R = 1."""
    counts: Counts
    stream: int
    state: np.ndarray
    """int64 [1 + OPEN_ROWS * slots]: the stream's state after this row."""
    draws: np.ndarray
    """int64 [slots]: the draw in each slot, -1 in an empty one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamSource:
    """The inputs of streams; picklable, because worker processes get a copy.

    Attributes:
      records: the training records of each cluster, by the sampler's cluster name;
        records[cluster][i] is a Record.
      sampler: selects the record of each draw; its seed also seeds crops, masks and noise.
      text_tokenizer, masks, max_protein_tokens, max_text_tokens, property_subset, crop_ends: as in
        `encode_example`.
      streams: the number of logical streams that share the draws.
      slots, protein_tokens, text_tokens: the shape of a row.

    Raises:
      UserError: a row is shorter than the longest example.
    """

    records: Mapping[str, Sequence[Record]]
    sampler: Sampler
    text_tokenizer: TextTokenizer
    masks: Masks
    streams: int
    slots: int
    protein_tokens: int
    text_tokens: int
    max_protein_tokens: int = 1024
    max_text_tokens: int = 512
    property_subset: float = 0.0
    crop_ends: bool = True

    def __post_init__(self):
        # The full biotext and all properties together may each fill max_text_tokens.
        longest = {
            "protein_tokens": self.max_protein_tokens,
            "text_tokens": 2 * self.max_text_tokens,
        }
        for name, needed in longest.items():
            if (room := getattr(self, name)) < needed:
                raise UserError(
                    f"batch.{name}={room} is too small; the longest record needs {needed}."
                )

    def start(self, stream: int) -> np.ndarray:
        """The initial state of a stream."""
        return state_to_array(StreamState(next_draw=stream, open_draws=()), slots=self.slots)

    def records_per_row(self, rows: int = 256) -> float:
        """Estimates the records per row as the mean over the first rows of the first stream."""
        first = itertools.islice(self.rows(0, self.start(0)), rows)
        return sum(row.counts.records for row in first) / rows

    def drawn_records(self, draws: np.ndarray) -> Iterator[Record]:
        """Yields the record of each draw."""
        clusters, indices = self.sampler.draws(draws)
        for cluster, index in zip(clusters.tolist(), indices.tolist(), strict=True):
            yield self.records[self.sampler.clusters[cluster]][index]

    def examples(self, draws: np.ndarray) -> Iterator[Drawn]:
        """Yields the example of each draw."""
        for draw, record in zip(draws.tolist(), self.drawn_records(draws), strict=True):
            example = encode_example(
                record,
                seed=self.sampler.seed,
                draw=draw,
                text_tokenizer=self.text_tokenizer,
                masks=self.masks,
                max_protein_tokens=self.max_protein_tokens,
                max_text_tokens=self.max_text_tokens,
                property_subset=self.property_subset,
                crop_ends=self.crop_ends,
            )
            yield Drawn(draw, example, cropped=len(record.sequence) + 2 > self.max_protein_tokens)

    def rows(self, stream: int, state: np.ndarray) -> Iterator[Row]:
        """Yields the endless rows of a stream, starting at `state`."""
        shape = {
            "slots": self.slots,
            "protein_tokens": self.protein_tokens,
            "text_tokens": self.text_tokens,
        }
        next_draw, open_draws = array_to_state(state, slots=self.slots)
        packer = RowPacker(**shape)
        for draws in open_draws:
            packer.open(list(self.examples(np.array(draws))))
        for first in itertools.count(next_draw, self.streams * _DRAWS_AT_ONCE):
            for drawn in self.examples(first + self.streams * np.arange(_DRAWS_AT_ONCE)):
                if closed := packer.add(drawn):
                    after = StreamState(drawn.draw + self.streams, packer.open_draws)
                    batch = pack_rows([[each.example for each in closed]], **shape)
                    slots = np.full(self.slots, -1, np.int64)
                    slots[: len(closed)] = [each.draw for each in closed]
                    yield Row(
                        batch,
                        _count(closed),
                        stream,
                        state_to_array(after, slots=self.slots),
                        slots,
                    )


def _count(row: Sequence[Drawn]) -> Counts:
    examples = [drawn.example for drawn in row]
    cropped = sum(drawn.cropped for drawn in row)
    proteins, texts, cuts = np.sum(
        [(example.protein_length, example.text_length, example.text_cut) for example in examples],
        axis=0,
    ).tolist()
    return Counts(len(row), proteins, texts, cropped_proteins=cropped, cut_text_tokens=cuts)


class StreamRows(grain.IterDataset[Row]):
    """The rows of some streams in turn: one row of each stream, then the next of each.

    Worker w of n takes the streams w, w + n, … If n divides the number of streams, grain's
    round-robin over workers restores this order.
    """

    def __init__(self, source: StreamSource, states: Mapping[int, np.ndarray]):
        super().__init__()
        self._source = source
        self._states = dict(states)

    def set_slice(self, sl: slice, sequential_slice: bool = False) -> None:
        """Keeps only a worker's streams; grain calls this on the worker's copy."""
        del sequential_slice
        self._states = dict(list(self._states.items())[sl])

    def __iter__(self) -> grain.DatasetIterator[Row]:
        return _StreamRowsIterator(self._source, self._states)


class _StreamRowsIterator(grain.DatasetIterator[Row]):
    def __init__(self, source: StreamSource, states: Mapping[int, np.ndarray]):
        super().__init__()
        streams = [source.rows(stream, state) for stream, state in states.items()]
        self._rows = itertools.chain.from_iterable(zip(*streams, strict=True))

    def __next__(self) -> Row:
        return next(self._rows)

    def get_state(self) -> dict:
        """Empty, because every row carries its stream's state."""
        return {}

    def set_state(self, state: dict) -> None:
        raise NotImplementedError("streams resume from the states in their rows")


def _prepare_worker(worker: int, workers: int) -> None:
    """Ties a worker process to its parent, which alone handles signals."""
    del worker, workers
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    follow_parent()


class TrainPipeline:
    """The endless batches of one host. Use it as a context manager, or call `close`.

    A global batch takes rows / streams rows from each stream, ordered by stream: position p comes
    from stream p // (rows / streams). A host holds the positions of its own streams, so the content
    of step n is the same for any number of hosts and workers.
    """

    def __init__(
        self,
        source: StreamSource,
        *,
        rows: int,
        local_streams: Sequence[int],
        workers: int,
        states: Mapping[int, np.ndarray] | None = None,
    ):
        """Starts at the beginning or at `states`.

        Args:
          rows: rows of the global batch.
          local_streams: the streams of this host, ascending.
          workers: the number of processes that compute rows; 0 uses a thread of this process.
          states: state arrays by stream, as returned by `states()`; at least for these streams.

        Raises:
          UserError: the number of streams does not divide the rows, or the workers do not divide
            the host's streams.
        """
        if rows % source.streams:
            raise UserError(
                f"batch.rows={rows} must be a multiple of data.streams={source.streams}."
            )
        if workers and len(local_streams) % workers:
            raise UserError(
                f"data.workers={workers} must divide the {len(local_streams)} streams of a host "
                f"(data.streams={source.streams} over all hosts)."
            )
        self._stream_rows = rows // source.streams
        self._states = {
            stream: source.start(stream) if states is None else states[stream]
            for stream in local_streams
        }
        self._counts = Counts()
        self._begun = False
        self._iterator = iter(
            _prefetch(StreamRows(source, self._states), workers=workers, rows=self._host_rows)
        )

    @property
    def _host_rows(self) -> int:
        return self._stream_rows * len(self._states)

    def next(self) -> Batch:
        """The host's rows of the next global batch; [rows of the host, …] in each field."""
        # The first read starts the workers.
        with contextlib.nullcontext() if self._begun else started_without_signals():
            rows = list(itertools.islice(self._iterator, self._host_rows))
        self._begun = True
        self._states |= {row.stream: row.state for row in rows}
        self._counts = Counts(*np.sum([self._counts, *(row.counts for row in rows)], axis=0))
        # Rows arrive in turns of the streams; a stable sort groups them by stream.
        rows.sort(key=lambda row: row.stream)
        self._draws = np.stack([row.draws for row in rows])
        fields = zip(*(row.batch for row in rows), strict=True)
        return Batch(*map(np.concatenate, fields))

    def states(self) -> dict[int, np.ndarray]:
        """The state of each local stream after the batches so far, for a checkpoint."""
        return dict(self._states)

    def draws(self) -> np.ndarray:
        """int64 [rows of the host, slots]: the draws in the latest batch, -1 in empty slots."""
        return self._draws

    def counts(self) -> Counts:
        """Totals over this host's batches so far."""
        return self._counts

    def close(self) -> None:
        """Stops the worker processes; the pipeline yields no more batches."""
        self._iterator.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def _prefetch(dataset: StreamRows, *, workers: int, rows: int) -> grain.IterDataset[Row]:
    """Computes about a batch of `rows` rows ahead, in worker processes or in a thread."""
    if workers == 0:
        return grain.experimental.ThreadPrefetchIterDataset(dataset, prefetch_buffer_size=rows)
    # grain reads its settings from absl flags, which are only parsed in absl's own main.
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    start_silent_tracker()
    # Rows travel through pipes, because shared memory would outlive a killed trainer and is small
    # in containers.
    options = grain.experimental.DatasetOptions(min_shm_size=2**40)
    dataset = grain.experimental.WithOptionsIterDataset(dataset, options)
    return dataset.mp_prefetch(
        grain.MultiprocessingOptions(
            num_workers=workers, per_worker_buffer_size=-(-rows // workers)
        ),
        worker_init_fn=_prepare_worker,
    )

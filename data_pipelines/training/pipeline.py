"""The training input pipeline: draws → records → examples → packed rows, one logical stream at a
time, through grain.

The rows depend on the seed and on nothing else: stream s reads the draws s, s + streams, s + 2 ·
streams, … and packs them by itself, so that hosts and worker processes only decide where a stream
is computed. Every row carries the state of its stream, so that no state is kept in grain's own
format.
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
"""Draws that a stream looks up in one call of the sampler."""


class Counts(NamedTuple):
    """What went into rows, added up; int64 scalars."""

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
    """What streams are computed from; picklable, as worker processes get a copy.

    Attributes:
      records: the training records of each cluster, by the sampler's cluster name;
        records[cluster][i] is a Record.
      sampler: which record each draw takes; its seed is that of crops, masks and noise too.
      text_tokenizer, masks, max_protein_tokens, max_text_tokens, property_subset, crop_ends: as in
      `encode_example`.
      streams: how many logical streams share the draws.
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
        # The full biotext and the properties together may each fill max_text_tokens.
        longest = {
            "protein_tokens": self.max_protein_tokens,
            "text_tokens": 2 * self.max_text_tokens,
        }
        for name, needed in longest.items():
            if (room := getattr(self, name)) < needed:
                raise UserError(
                    f"batch.{name} = {room} must be at least {needed}, the longest that one "
                    "record may be"
                )

    def start(self, stream: int) -> np.ndarray:
        """The state of a stream that has read nothing."""
        return state_to_array(StreamState(next_draw=stream, open_draws=()), slots=self.slots)

    def records_per_row(self, rows: int = 256) -> float:
        """How many records a row holds, as the mean of the first rows of the first stream."""
        first = itertools.islice(self.rows(0, self.start(0)), rows)
        return sum(row.counts.records for row in first) / rows

    def drawn_records(self, draws: np.ndarray) -> Iterator[Record]:
        """The record of each draw."""
        clusters, indices = self.sampler.draws(draws)
        for cluster, index in zip(clusters.tolist(), indices.tolist(), strict=True):
            yield self.records[self.sampler.clusters[cluster]][index]

    def examples(self, draws: np.ndarray) -> Iterator[Drawn]:
        """The example of each draw."""
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
        """The endless rows of a stream from `state` on."""
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
                    batch = pack_rows([[drawn.example for drawn in closed]], **shape)
                    slots = np.full(self.slots, -1, np.int64)
                    slots[: len(closed)] = [drawn.draw for drawn in closed]
                    yield Row(
                        batch,
                        _count(closed),
                        stream,
                        state_to_array(after, slots=self.slots),
                        slots,
                    )


def _count(row: Sequence[Drawn]) -> Counts:
    return Counts(
        records=len(row),
        protein_tokens=sum(drawn.example.protein_length for drawn in row),
        text_tokens=sum(drawn.example.text_length for drawn in row),
        cropped_proteins=sum(drawn.cropped for drawn in row),
        cut_text_tokens=sum(drawn.example.text_cut for drawn in row),
    )


class StreamRows(grain.IterDataset[Row]):
    """The rows of some streams in turn: one of each, then the next of each.

    A worker process w of n takes the streams w, w + n, …; when n divides the number of streams,
    grain's own turn over the workers gives back this very order.
    """

    def __init__(self, source: StreamSource, states: Mapping[int, np.ndarray]):
        super().__init__()
        self._source = source
        self._states = dict(states)

    def set_slice(self, sl: slice, sequential_slice: bool = False) -> None:
        """Keeps a worker's streams. grain calls this on the worker's own copy."""
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
        """Empty: every row carries its stream's state."""
        return {}

    def set_state(self, state: dict) -> None:
        raise NotImplementedError("streams restart from the states that their rows carry")


def _prepare_worker(worker: int, workers: int) -> None:
    """Ties a worker process to its parent: the parent alone handles signals, and its death ends
    the worker."""
    del worker, workers
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    follow_parent()


class TrainPipeline:
    """The batches of one host, without end; a context manager, or call `close`.

    A global batch takes rows / streams rows of each stream, stream by stream: position p comes from
    stream p // (rows / streams), and a host holds the positions of its own streams. The host's
    share of step n is therefore the same for any number of hosts and workers.
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
          rows: of the global batch.
          local_streams: the streams of this host, ascending.
          workers: processes that compute rows; 0 computes them in a thread of this one.
          states: state arrays by stream, as `states()` gives them, of these streams at least.

        Raises:
          UserError: the rows do not divide among the streams, or the host's streams among the
            workers.
        """
        if rows % source.streams:
            raise UserError(
                f"batch.rows = {rows} must be a multiple of data.streams = {source.streams}"
            )
        if workers and len(local_streams) % workers:
            raise UserError(
                f"data.workers = {workers} must divide the {len(local_streams)} streams of a host "
                f"(data.streams = {source.streams} over the hosts)"
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
        """The host's rows of the next global batch, [rows of the host, …] in each field."""
        # The first row starts the workers.
        with contextlib.nullcontext() if self._begun else started_without_signals():
            rows = list(itertools.islice(self._iterator, self._host_rows))
        self._begun = True
        self._states |= {row.stream: row.state for row in rows}
        self._counts = Counts(*np.sum([self._counts, *(row.counts for row in rows)], axis=0))
        # Rows arrive in turns of the streams; a stable sort puts each stream's together.
        rows.sort(key=lambda row: row.stream)
        self._draws = np.stack([row.draws for row in rows])
        return Batch(
            *(np.concatenate(arrays) for arrays in zip(*(row.batch for row in rows), strict=True))
        )

    def states(self) -> dict[int, np.ndarray]:
        """The state of each local stream after the batches taken so far: what a checkpoint
        needs."""
        return dict(self._states)

    def draws(self) -> np.ndarray:
        """int64 [rows of the host, slots]: the draws in the latest batch, -1 in empty slots."""
        return self._draws

    def counts(self) -> Counts:
        """Totals over this host's batches taken so far."""
        return self._counts

    def close(self) -> None:
        """Ends the worker processes; the pipeline gives no more batches."""
        self._iterator.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def _prefetch(dataset: StreamRows, *, workers: int, rows: int) -> grain.IterDataset[Row]:
    """Computes up to about a batch of `rows` rows ahead, in worker processes or in a thread."""
    if workers == 0:
        return grain.experimental.ThreadPrefetchIterDataset(dataset, prefetch_buffer_size=rows)
    # grain reads its settings from absl flags, which nobody has parsed outside of absl's own main.
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    start_silent_tracker()
    # Rows travel through pipes: shared memory would outlive a killed trainer, and is small in
    # containers.
    options = grain.experimental.DatasetOptions(min_shm_size=2**40)
    dataset = grain.experimental.WithOptionsIterDataset(dataset, options)
    return dataset.mp_prefetch(
        grain.MultiprocessingOptions(
            num_workers=workers, per_worker_buffer_size=-(-rows // workers)
        ),
        worker_init_fn=_prepare_worker,
    )

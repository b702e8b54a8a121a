import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import pickle
import signal
import string
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash32
from data_pipelines.protanno import dataset as protanno
from data_pipelines.protanno.record import Record
from data_pipelines.tokenizers.text_tokenizer import SPECIAL_TOKENS, TextTokenizer
from data_pipelines.training.examples import encode_example
from data_pipelines.training.masking import separate_masks
from data_pipelines.training.packing import array_to_state
from data_pipelines.training.pipeline import StreamSource, TrainPipeline
from data_pipelines.training.sampling import make_sampler

STREAMS, ROWS = 8, 16
MAX_PROTEIN, MAX_TEXT = 32, 40


def make_records(rng, source, count):
    for index in range(count):
        sequence = "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), rng.integers(5, 45)))
        text = "".join(rng.choice(list(string.ascii_lowercase), rng.integers(1, 9)))
        function = text if rng.random() < 0.5 else ""
        yield Record(
            f"{source}{index}", "X", source, sequence, existence=1, name=text, function=function
        )


@pytest.fixture(scope="module")
def source():
    rng = np.random.default_rng(0)
    records = {
        "swissprot/C1/R4": list(make_records(rng, "swissprot", 150)),
        "swissprot/C3/R1": list(make_records(rng, "swissprot", 40)),
        "trembl/C1/R3": list(make_records(rng, "trembl", 90)),
    }
    letters = [*string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase), ":"]
    return StreamSource(
        records=records,
        sampler=make_sampler(
            {cluster: len(members) for cluster, members in records.items()}, seed=7
        ),
        text_tokenizer=TextTokenizer([*SPECIAL_TOKENS, *letters]),
        masks=separate_masks,
        streams=STREAMS,
        slots=5,
        protein_tokens=64,
        text_tokens=100,
        max_protein_tokens=MAX_PROTEIN,
        max_text_tokens=MAX_TEXT,
    )


def examples_of(source, draws):
    """The example of each draw, one record at a time."""
    clusters, indices = source.sampler.draws(np.array(draws))
    return [
        encode_example(
            source.records[source.sampler.clusters[cluster]][index],
            seed=7,
            draw=draw,
            text_tokenizer=source.text_tokenizer,
            masks=separate_masks,
            max_protein_tokens=MAX_PROTEIN,
            max_text_tokens=source.max_text_tokens,
            property_subset=source.property_subset,
        )
        for draw, cluster, index in zip(draws, clusters, indices, strict=True)
    ]


def assert_same(batch, other):
    for name, array in batch._asdict().items():
        np.testing.assert_array_equal(array, getattr(other, name), err_msg=name)


def take(source, steps, *, hosts=1, workers=0, states=None):
    """The global batches of `steps` steps, joined over hosts, and the states after them."""
    share = STREAMS // hosts
    joined, after = [], {}
    for host in range(hosts):
        owned = range(host * share, (host + 1) * share)
        with TrainPipeline(
            source, rows=ROWS, local_streams=owned, workers=workers, states=states
        ) as pipeline:
            joined.append([pipeline.next() for _ in range(steps)])
            after |= pipeline.states()
    batches = [
        type(parts[0])(*map(np.concatenate, zip(*parts, strict=True)))
        for parts in zip(*joined, strict=True)
    ]
    return batches, after


@pytest.fixture(scope="module")
def reference(source):
    """Ten steps of one host in one process."""
    return take(source, 10)


def test_every_draw_is_in_exactly_one_slot_of_its_stream(source, reference):
    batches, states = reference
    draw_of = {
        example.noise_seed: draw for draw, example in enumerate(examples_of(source, range(2_000)))
    }
    assert len(draw_of) == 2_000
    drawn = [[] for _ in range(STREAMS)]
    for batch in batches:
        for position in range(ROWS):
            seeds = batch.noise_seeds[position][batch.slot_mask[position]]
            drawn[position // (ROWS // STREAMS)] += [draw_of[seed] for seed in seeds.tolist()]
    for stream, draws in enumerate(drawn):
        state = array_to_state(states[stream], slots=source.slots)
        still_open = [draw for row in state.open_draws for draw in row]
        assert sorted(draws + still_open) == list(range(stream, state.next_draw, STREAMS))


def test_slots_hold_the_examples_of_their_draws(source, reference):
    batches, _ = reference
    example_by_seed = {example.noise_seed: example for example in examples_of(source, range(2_000))}
    batch = batches[3]
    for row, slot in np.argwhere(batch.slot_mask):
        example = example_by_seed[int(batch.noise_seeds[row, slot])]
        p, t = batch.protein_slot_ids[row] == slot + 1, batch.text_slot_ids[row] == slot + 1
        np.testing.assert_array_equal(batch.protein_tokens[row, p], example.protein_tokens)
        np.testing.assert_array_equal(batch.mlm_mask[row, p], example.mlm_mask)
        np.testing.assert_array_equal(batch.text_tokens[row, t], example.text_tokens)
        assert batch.sequence_hashes[row, slot] == example.sequence_hash


# Every worker starts an interpreter that imports grain: one case stands for all in the quick suite.
@pytest.mark.parametrize(
    ("hosts", "workers"),
    [(2, 0), (4, 0), (1, 2)]
    + [
        pytest.param(h, w, marks=pytest.mark.soak)
        for h, w in [(1, 1), (1, 4), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1)]
    ],
)
def test_hosts_and_workers_build_the_same_global_batches(source, reference, hosts, workers):
    batches, states = take(source, 10, hosts=hosts, workers=workers)
    for batch, expected in zip(batches, reference[0], strict=True):
        assert_same(batch, expected)
    for stream in range(STREAMS):
        np.testing.assert_array_equal(states[stream], reference[1][stream])


def test_property_subsets_are_those_of_their_draws_wherever_a_stream_runs(source):
    halved = dataclasses.replace(source, property_subset=0.5)
    batches, states = take(halved, 3)
    example_by_seed = {example.noise_seed: example for example in examples_of(halved, range(2_000))}
    for batch in batches:
        for row, slot in np.argwhere(batch.slot_mask):
            np.testing.assert_array_equal(
                batch.text_hashes[row, slot],
                example_by_seed[int(batch.noise_seeds[row, slot])].text_hashes,
            )
    assert any((batch.text_hashes[batch.slot_mask][:, 1] == 0).any() for batch in batches)
    others, _ = take(halved, 2, hosts=2, states=take(halved, 1)[1])
    for batch, expected in zip(others, batches[1:], strict=True):
        assert_same(batch, expected)


@pytest.mark.parametrize("step", [0, 1, 4])
@pytest.mark.parametrize(
    ("hosts", "workers"), [(1, 0), (4, 0), pytest.param(2, 2, marks=pytest.mark.soak)]
)
def test_restoring_states_continues_bit_for_bit(source, reference, step, hosts, workers):
    _, states = take(source, step)
    batches, after = take(source, 10 - step, hosts=hosts, workers=workers, states=states)
    for batch, expected in zip(batches, reference[0][step:], strict=True):
        assert_same(batch, expected)
    for stream in range(STREAMS):
        np.testing.assert_array_equal(after[stream], reference[1][stream])


def test_states_are_those_of_the_batches_taken_not_of_those_computed_ahead(source):
    with TrainPipeline(source, rows=ROWS, local_streams=range(STREAMS), workers=0) as pipeline:
        assert all(
            array_to_state(state, slots=5) == (stream, ())
            for stream, state in pipeline.states().items()
        )
        pipeline.next()
        time.sleep(0.2)
        states = pipeline.states()
        expected = pipeline.next()
    (batch,), _ = take(source, 1, states=states)
    assert_same(batch, expected)


def test_counts_are_sums_over_the_batches(source):
    tight = dataclasses.replace(source, max_text_tokens=12)
    with TrainPipeline(tight, rows=ROWS, local_streams=range(2, 6), workers=0) as pipeline:
        batches = [pipeline.next() for _ in range(5)]
        counts = pipeline.counts()
    assert counts.records == sum(batch.slot_mask.sum() for batch in batches)
    assert counts.protein_tokens == sum((batch.protein_slot_ids > 0).sum() for batch in batches)
    assert counts.text_tokens == sum((batch.text_slot_ids > 0).sum() for batch in batches)
    example_by_seed = {example.noise_seed: example for example in examples_of(tight, range(2_000))}
    examples = [
        example_by_seed[seed]
        for batch in batches
        for seed in batch.noise_seeds[batch.slot_mask].tolist()
    ]
    assert counts.cut_text_tokens == sum(example.text_cut for example in examples) > 0
    whole = {
        hash32(record.sequence): len(record.sequence)
        for members in source.records.values()
        for record in members
    }
    cropped = [
        example for example in examples if example.protein_length < whole[example.sequence_hash] + 2
    ]
    assert counts.cropped_proteins == len(cropped) > 0


def test_records_per_row_is_the_mean_over_rows(source):
    with TrainPipeline(source, rows=ROWS, local_streams=range(STREAMS), workers=0) as pipeline:
        for _ in range(16):
            pipeline.next()
        records = pipeline.counts().records
    assert source.records_per_row() == pytest.approx(records / (16 * ROWS), rel=0.1)
    first = itertools.islice(source.rows(0, source.start(0)), 8)
    assert source.records_per_row(8) == sum(int(row.batch.slot_mask.sum()) for row in first) / 8


@pytest.mark.parametrize(
    ("shape", "key"),
    [({"protein_tokens": 31}, "protein_tokens"), ({"text_tokens": 79}, "text_tokens")],
)
def test_rows_shorter_than_a_record_are_refused(source, shape, key):
    with pytest.raises(UserError, match=f"batch.{key}"):
        dataclasses.replace(source, **shape)


@pytest.mark.parametrize(
    ("rows", "owned", "workers", "key"), [(12, 8, 0, "batch.rows"), (16, 4, 3, "data.workers")]
)
def test_shares_that_do_not_divide_are_refused(source, rows, owned, workers, key):
    with pytest.raises(UserError, match=key):
        TrainPipeline(source, rows=rows, local_streams=range(owned), workers=workers)


class _Broken:
    def __len__(self):
        return 1000

    def __getitem__(self, index):
        raise UserError("the record is broken")


def uses_an_accelerator(residues, rng):
    """Masks that tell whether this process has loaded a network library or started a JAX
    backend."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    loaded = (
        bool(bridge and bridge._backends) or "flax" in sys.modules or "protclip_jax" in sys.modules
    )
    return np.full(residues.size, loaded), np.full(
        residues.size, multiprocessing.parent_process() is not None
    )


def test_workers_leave_the_accelerator_alone_and_end_with_their_pipeline(source):
    spied = dataclasses.replace(source, masks=uses_an_accelerator)
    with TrainPipeline(spied, rows=ROWS, local_streams=range(STREAMS), workers=1) as pipeline:
        batch = pipeline.next()
        (worker,) = multiprocessing.active_children()
        # A signal to the whole job is for the trainer to handle; its workers go on.
        for number in (
            signal.SIGTERM,
            signal.SIGINT,
            signal.SIGHUP,
            signal.SIGUSR1,
            signal.SIGUSR2,
        ):
            os.kill(worker.pid, number)
        for _ in range(5):
            pipeline.next()
    assert not batch.mlm_mask.any()
    np.testing.assert_array_equal(batch.segment_mask, batch.protein_slot_ids > 0)
    assert multiprocessing.active_children() == []
    with pytest.raises(ValueError, match="closed"):
        pipeline.next()


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.soak)])
def test_a_mistake_in_the_data_reaches_the_caller_as_it_is(source, workers):
    broken = dataclasses.replace(source, records=dict.fromkeys(source.records, _Broken()))
    with (
        TrainPipeline(broken, rows=ROWS, local_streams=range(STREAMS), workers=workers) as pipeline,
        pytest.raises(UserError, match="the record is broken"),
    ):
        pipeline.next()


def test_workers_outlive_no_killed_parent_heed_no_signal_and_say_nothing(source, tmp_path):
    script = textwrap.dedent("""
        import multiprocessing, os, pickle, signal, sys, threading, time
        from data_pipelines.training.pipeline import TrainPipeline
        source = pickle.load(open(sys.argv[1], "rb"))
        pipeline = TrainPipeline(source, rows=16, local_streams=range(8), workers=1)
        signal.signal(signal.SIGINT, lambda *of_signal: None)
        begun = threading.Event()

        def press_control_c():
            while not begun.wait(0.02):
                os.killpg(0, signal.SIGINT)

        threading.Thread(target=press_control_c).start()
        pipeline.next()
        begun.set()
        print(multiprocessing.active_children()[0].pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    (tmp_path / "source").write_bytes(pickle.dumps(source))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "source")],
        text=True,
        start_new_session=True,
        **pipes,
    )
    worker = int(parent.stdout.readline())
    assert parent.wait(timeout=20) == -signal.SIGKILL
    try:
        status = Path(f"/proc/{worker}/status")
        deadline = time.monotonic() + 20
        while status.exists() and "\nState:\tZ" not in status.read_text():
            assert time.monotonic() < deadline, "the worker lives on"
            time.sleep(0.1)
        # Until the last process of the run has ended.
        assert parent.stderr.read() == ""
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def test_a_built_dataset_gives_the_rows_of_its_records(source, reference, tmp_path):
    splits = {protanno.split_name(cluster): members for cluster, members in source.records.items()}
    protanno.write(tmp_path, splits, statistics={})
    dataset = protanno.open_dataset(tmp_path)
    built = {
        cluster: dataset.splits[protanno.split_name(cluster)].without_features()
        for cluster in source.records
    }
    stored = dataclasses.replace(source, records=built)
    batches, _ = take(pickle.loads(pickle.dumps(stored)), 2)
    for batch, expected in zip(batches, reference[0][:2], strict=True):
        assert_same(batch, expected)

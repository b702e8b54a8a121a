"""The embedding cache: right vectors in order, nothing computed twice, nothing lost or believed
that is damaged."""

import itertools
import multiprocessing
import os
import signal

import numpy as np
import pytest

from data_pipelines.common.errors import RunError, UserError
from eval.protocols import embedding_cache
from eval.protocols.embedding_cache import CachedEmbedder
from protclip_jax.inference.windows import Windows
from tests.support.fake_embedder import vectors

ACIDS = "ACDEFGHIKLMNPQRSTVWY"
SEQUENCES = [
    "".join(letters)
    for letters in itertools.islice(itertools.product(ACIDS, repeat=4), 0, 4000, 97)
]


class Model:
    """Vectors that tell their sequence; remembers what it was asked, and dies when it is asked
    for the last time."""

    def __init__(self, *, calls_before_death=None, fingerprint="a" * 64):
        self.asked, self._left, self.fingerprint = [], calls_before_death, fingerprint

    def represent(self, sequences, *, kinds, windows):
        if self._left is not None and len(self.asked) == self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.asked.append(list(sequences))
        found = {}
        for kind in kinds:
            found[kind] = np.stack([vectors(sequence, kind) for sequence in sequences])
        return found

    @property
    def computed(self):
        return [sequence for call in self.asked for sequence in call]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(embedding_cache, "BLOCK_TOKENS", 20)


def expected(sequences, kind="mean"):
    return np.stack([vectors(sequence, kind) for sequence in sequences])


def test_vectors_come_in_the_order_asked_and_each_sequence_is_computed_once(tmp_path):
    model = Model()
    cached = CachedEmbedder(model, tmp_path)
    asked = SEQUENCES[:20][::-1] + SEQUENCES[5:15]
    np.testing.assert_array_equal(cached(asked), expected(asked))
    assert sorted(model.computed) == sorted(SEQUENCES[:20])
    assert len(model.asked) > 3  # several blocks
    asked = [SEQUENCES[25], SEQUENCES[3], SEQUENCES[25], SEQUENCES[19]]
    np.testing.assert_array_equal(cached(asked), expected(asked))
    assert model.computed[20:] == [SEQUENCES[25]]
    again = Model()
    np.testing.assert_array_equal(
        CachedEmbedder(again, tmp_path)(SEQUENCES[:20]), expected(SEQUENCES[:20])
    )
    assert not again.asked
    assert cached([]).shape[0] == 0


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "projected"},
        {"windows": Windows("truncate")},
        {"windows": Windows(overlap=10)},
        {"dtype": "bfloat16"},
    ],
)
def test_what_changes_the_vectors_changes_the_key(tmp_path, other):
    CachedEmbedder(Model(), tmp_path)(SEQUENCES)
    model = Model()
    np.testing.assert_array_equal(
        CachedEmbedder(model, tmp_path, **other)(SEQUENCES),
        expected(SEQUENCES, other.get("kind", "mean")),
    )
    assert model.computed == SEQUENCES
    model = Model(fingerprint="b" * 64)
    CachedEmbedder(model, tmp_path)(SEQUENCES)
    assert model.computed == SEQUENCES


def damages(content):
    yield content[: len(content) // 2]
    yield b""
    for position in range(0, len(content), 97):
        flipped = bytearray(content)
        flipped[position] ^= 1 << (position % 8)
        yield bytes(flipped)


def test_a_damaged_block_is_found_reported_and_computed_again(tmp_path, capsys):
    folder = CachedEmbedder(Model(), tmp_path).folder
    CachedEmbedder(Model(), tmp_path)(SEQUENCES[:4])
    (block,) = folder.glob("*.npz")
    whole = block.read_bytes()
    for damaged in damages(whole):
        block.write_bytes(damaged)
        model = Model()
        np.testing.assert_array_equal(
            CachedEmbedder(model, tmp_path)(SEQUENCES[:4]), expected(SEQUENCES[:4])
        )
        assert model.computed == SEQUENCES[:4]
        assert "damaged" in capsys.readouterr().err
        for path in folder.glob("*.npz"):
            path.unlink()


def test_any_file_may_go_at_any_time(tmp_path):
    model = Model()
    cached = CachedEmbedder(model, tmp_path)
    cached(SEQUENCES)
    for path in sorted(cached.folder.iterdir())[::2]:
        path.unlink()
    np.testing.assert_array_equal(cached(SEQUENCES), expected(SEQUENCES))
    assert len(SEQUENCES) < len(model.computed) < 2 * len(SEQUENCES)
    for path in cached.folder.iterdir():
        path.unlink()
    cached.folder.rmdir()
    np.testing.assert_array_equal(cached(SEQUENCES), expected(SEQUENCES))


def test_a_block_that_is_computed_again_is_known_again(tmp_path):
    model = Model()
    CachedEmbedder(model, tmp_path)(SEQUENCES[:4])
    cached = CachedEmbedder(model, tmp_path)
    cached(SEQUENCES[:4])
    (block,) = cached.folder.iterdir()
    block.unlink()
    for _ in range(3):
        np.testing.assert_array_equal(cached(SEQUENCES[:4]), expected(SEQUENCES[:4]))
    assert model.computed == 2 * SEQUENCES[:4]


def embed(folder, order, calls_before_death=None):
    embedding_cache.BLOCK_TOKENS = 20
    got = CachedEmbedder(Model(calls_before_death=calls_before_death), folder)(
        [SEQUENCES[i] for i in order]
    )
    np.testing.assert_array_equal(got, expected([SEQUENCES[i] for i in order]))


@pytest.fixture(scope="module")
def processes():
    """Starts functions in processes of their own, forked from one that has imported everything;
    gives their exit codes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["eval.protocols.embedding_cache", "tests.support.fake_embedder"]
    )

    def run(*calls):
        started = [context.Process(target=embed, args=call) for call in calls]
        for process in started:
            process.start()
        for process in started:
            process.join()
        return [process.exitcode for process in started]

    return run


def test_processes_at_once_and_one_that_is_killed(tmp_path, processes):
    """Four processes write in orders of their own, one of them dies; all survivors are right,
    and so is what is left."""
    orders = [np.random.default_rng(seed).permutation(len(SEQUENCES)).tolist() for seed in range(4)]
    codes = processes(*[(tmp_path, order, 4 if i == 0 else None) for i, order in enumerate(orders)])
    assert codes[1:] == [0, 0, 0]
    model = Model()
    cached = CachedEmbedder(model, tmp_path)
    np.testing.assert_array_equal(cached(SEQUENCES), expected(SEQUENCES))
    assert not model.asked
    assert not list(cached.folder.glob("*.partial"))


def test_a_killed_process_leaves_what_it_had_computed(tmp_path, processes):
    assert processes((tmp_path, range(len(SEQUENCES)), 4)) == [-signal.SIGKILL]
    model = Model()
    np.testing.assert_array_equal(CachedEmbedder(model, tmp_path)(SEQUENCES), expected(SEQUENCES))
    assert 0 < len(model.computed) < len(SEQUENCES)
    assert model.computed == SEQUENCES[-len(model.computed) :]


def test_what_another_process_has_computed_meanwhile_is_taken(tmp_path):
    model = Model()

    def then_another(sequences, **asked):
        made = Model.represent(model, sequences, **asked)
        if len(model.asked) == 1:
            CachedEmbedder(Model(), tmp_path)(SEQUENCES)
        return made

    model.represent = then_another
    np.testing.assert_array_equal(CachedEmbedder(model, tmp_path)(SEQUENCES), expected(SEQUENCES))
    assert len(model.asked) == 1


def test_an_abandoned_file_goes_after_a_day_and_one_being_written_stays(tmp_path):
    folder = CachedEmbedder(Model(), tmp_path).folder
    folder.mkdir()
    for name, age in (("old", embedding_cache.ABANDONED_SECONDS + 60), ("new", 0)):
        path = folder / f"{name}.partial"
        path.write_bytes(b"half")
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    CachedEmbedder(Model(), tmp_path)
    assert [path.name for path in folder.iterdir()] == ["new.partial"]


def test_refusals(tmp_path):
    model = Model()
    model.represent = lambda sequences, **_: {
        "mean": np.full((len(sequences), 3), np.nan, np.float32)
    }
    with pytest.raises(UserError, match="not finite"):
        CachedEmbedder(model, tmp_path)(SEQUENCES)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        CachedEmbedder(Model(), tmp_path / "file")(SEQUENCES)

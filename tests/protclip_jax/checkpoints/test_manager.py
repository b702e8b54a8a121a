"""Checkpoints of a small tree: what is kept, what is damaged, what a full disk leaves; on eight
devices."""

import errno
import os
import random
import re
import resource
import shutil
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import RunError, UserError
from protclip_jax.checkpoints import best, checksums
from protclip_jax.checkpoints.best import RETRIEVAL, Best
from protclip_jax.checkpoints.manager import CheckpointManager
from protclip_jax.checkpoints.parameters import load_params, save_params, stored_groups
from protclip_jax.checkpoints.step_folders import complete_steps
from tests.support.damage import DAMAGES, files, flip_bit, remove


def tree(step, *, size=4096):
    """A parameter over all devices and one on each; optimiser state of several kinds."""
    mesh = Mesh(np.array(jax.devices()), ("fsdp",))
    split, whole = (NamedSharding(mesh, spec) for spec in (PartitionSpec("fsdp"), PartitionSpec()))
    weights = jax.random.normal(jax.random.key(step), (size,))
    return {
        "params": {
            "protein": {"kernel": jax.device_put(weights, split)},
            "text": {"bias": jax.device_put(weights[:8], whole)},
        },
        "optimizer": {
            "mu": jax.device_put(2 * weights, split),
            "count": jax.device_put(jnp.int32(step), whole),
        },
        "data": np.arange(12).reshape(4, 3) + step,
    }


def abstract(of):
    arrays = {name: of[name] for name in ("params", "optimizer")}
    shapes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), arrays
    )
    return shapes | {"data": np.zeros_like(of["data"])}


def save(workdir, *steps, mrr=None, keep_best=1, keep_every=0, best=RETRIEVAL):
    """`mrr` is the value of the rule's metric by step."""
    rules = {"keep_best": keep_best, "keep_every": keep_every, "best": best}
    with CheckpointManager(workdir, **rules) as store:
        for step in steps:
            store.save(
                step, **tree(step), metrics={best.metric: mrr[step]} if step in (mrr or {}) else {}
            )


def assert_restores(workdir, step):
    with CheckpointManager(workdir, keep_best=1) as store:
        restored = store.restore(step, **abstract(tree(step)))
    jax.tree.map(np.testing.assert_array_equal, restored, tuple(tree(step).values()))


def newest(workdir):
    with CheckpointManager(workdir, keep_best=1) as store:
        return store.newest_intact()


def names(workdir):
    return sorted(path.name for path in (workdir / "checkpoints").iterdir())


def test_checkpoints_of_keep_every_stay(tmp_path):
    save(tmp_path, 2, 4, 6, 8, 10, 12, mrr={2: 0.9}, keep_every=4)
    assert names(tmp_path) == ["10", "12", "2", "4", "8"]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    save(workdir, 1, 2, 3, mrr={1: 0.5, 2: 0.25})
    return workdir


@pytest.fixture
def saved(original, tmp_path):
    return shutil.copytree(original, tmp_path / "copy")


def test_what_was_saved_is_restored_and_no_thread_stays(saved):
    before = threading.active_count()
    assert newest(saved) == 3
    assert_restores(saved, 3)
    assert names(saved) == ["1", "2", "3"]
    save(saved, 4)
    assert threading.active_count() == before


def test_a_new_workdir_has_no_step(tmp_path):
    assert newest(tmp_path) is None


def test_the_latest_two_and_the_best_stay(saved):
    save(saved, 4, 5, mrr={4: 0.5})
    assert names(saved) == ["4", "5"]
    save(saved, 6, 7, 8)
    assert names(saved) == ["4", "7", "8"]
    assert best.resolve_step(saved) == 4
    save(saved, 9, keep_best=0)
    assert names(saved) == ["8", "9"]
    assert best.resolve_step(saved) == 9


def test_another_rule_for_the_best_judges_by_what_was_measured_at_the_time(saved):
    loss = Best("function/loss", "min")
    # Until a step is measured by the new metric, the old best (step 1) stays, but it is no more
    # what `best` means.
    save(saved, 4, 5, best=loss)
    assert names(saved) == ["1", "4", "5"]
    assert best.resolve_step(saved, "best") == 5
    save(saved, 6, 7, best=loss, mrr={6: 2.0, 7: 3.0})
    save(saved, 8, 9, best=loss)
    assert names(saved) == ["6", "8", "9"]
    assert best.resolve_step(saved, "best") == 6
    # And back, though nothing that is left was measured by retrieval.
    save(saved, 10, 11)
    assert names(saved) == ["10", "11", "6"]
    save(saved, 12, mrr={12: 0.1})
    assert names(saved) == ["11", "12"]
    assert best.resolve_step(saved, "best") == 12


def test_checkpoints_that_record_only_an_mrr_are_judged_by_it(tmp_path):
    for step, text in {1: '{"mrr": 0.5}', 2: '{"mrr": 0.75}', 3: '{"mrr": null}'}.items():
        folder = tmp_path / "checkpoints" / str(step)
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(text)
        checksums.write(folder)
    assert best.resolve_step(tmp_path) == 2


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_any_file_goes_back_one_step(saved, capsys, damage):
    count = len(files(saved / "checkpoints/3"))
    assert count > 15
    for position in range(count):
        chosen = files(saved / "checkpoints/3")[position]
        if damage is not remove and not chosen.stat().st_size:
            continue
        content = chosen.read_bytes()
        damage(chosen, random.Random(position))
        assert newest(saved) == 2, chosen
        printed = capsys.readouterr().err
        assert re.fullmatch(
            r"warning: checkpoint 3 is damaged \(.+\) and now .+/3\.damaged; resuming from 2\.\n",
            printed,
        )
        (saved / "checkpoints/3.damaged").rename(saved / "checkpoints/3")
        chosen.write_bytes(content)
    assert newest(saved) == 3


@pytest.mark.soak
def test_many_random_flips_are_all_found(saved):
    rng = random.Random(0)
    for _ in range(3000):
        chosen = rng.choice(
            [path for path in files(saved / "checkpoints/3") if path.stat().st_size]
        )
        content = chosen.read_bytes()
        flip_bit(chosen, rng)
        assert newest(saved) == 2, chosen
        (saved / "checkpoints/3.damaged").rename(saved / "checkpoints/3")
        chosen.write_bytes(content)


def largest(folder):
    return max(files(folder), key=lambda path: path.stat().st_size)


def test_a_damaged_step_is_kept_aside_and_counts_no_more(saved, capsys):
    flip_bit(largest(saved / "checkpoints/3"), random.Random(0))
    damaged = largest(saved / "checkpoints/3").read_bytes()
    assert newest(saved) == 2
    assert_restores(saved, 2)
    save(saved, 3, 4)
    # The best and the latest two; had the damaged one counted, 3 would be gone.
    assert names(saved) == ["1", "3", "3.damaged", "4"]
    assert_restores(saved, 3)
    flip_bit(largest(saved / "checkpoints/4"), random.Random(0))
    flip_bit(largest(saved / "checkpoints/3"), random.Random(0))
    assert newest(saved) == 1
    assert names(saved) == ["1", "3.damaged", "3.damaged-2", "4.damaged"]
    assert largest(saved / "checkpoints/3.damaged").read_bytes() == damaged
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_without_an_intact_step_nothing_is_touched(saved):
    for step in (1, 2, 3):
        flip_bit(largest(saved / "checkpoints" / str(step)), random.Random(0))
    before = {path: path.read_bytes() for path in files(saved)}
    for _ in range(2):
        with pytest.raises(
            UserError, match=r"every checkpoint in .* is damaged \(3: .*; 2: .*; 1: "
        ):
            newest(saved)
    assert {path: path.read_bytes() for path in files(saved)} == before


def test_a_step_whose_metrics_are_damaged_is_not_removed(saved):
    flip_bit(saved / "checkpoints/1/metrics.json", random.Random(0))
    save(saved, 4, 5)
    assert names(saved) == ["1", "2", "4", "5"]


def test_what_was_cut_off_is_no_step_and_goes(saved):
    for leftover in (
        "4.partial",
        "4.orbax-checkpoint-tmp",
        "5.partial_save.orbax-checkpoint-tmp-17",
        "keep.partial.thesis",
    ):
        shutil.copytree(saved / "checkpoints/3", saved / "checkpoints" / leftover)
    assert best.resolve_step(saved, "latest") == 3
    assert newest(saved) == 3
    assert names(saved) == ["1", "2", "3", "keep.partial.thesis"]


def test_a_save_that_is_cut_off_before_its_seal_does_not_count(saved, monkeypatch, capsys):
    monkeypatch.setattr(checksums, "write", lambda folder: os.listdir(folder / "gone"))
    with pytest.raises(FileNotFoundError):
        save(saved, 4)
    monkeypatch.undo()
    assert best.resolve_step(saved, "latest") == 3
    assert newest(saved) == 3
    assert "checkpoint 4 is damaged (SHA256SUMS is missing)" in capsys.readouterr().err
    assert names(saved) == ["1", "2", "3", "4.damaged"]
    save(saved, 4)
    assert_restores(saved, 4)


def test_a_run_whose_first_save_is_cut_off_before_its_seal_begins_again(tmp_path, monkeypatch):
    monkeypatch.setattr(checksums, "write", lambda folder: os.listdir(folder / "gone"))
    with pytest.raises(FileNotFoundError):
        save(tmp_path, 1)
    monkeypatch.undo()
    assert newest(tmp_path) is None
    save(tmp_path, 1)
    assert newest(tmp_path) == 1


def test_a_removal_that_is_cut_off_leaves_no_step_that_lacks_files(saved, monkeypatch):
    def cut_off(path):
        os.remove(f"{path}/metrics.json")
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(shutil, "rmtree", cut_off)
    save(saved, 4, mrr={4: 0.75})
    monkeypatch.undo()
    assert names(saved) == ["1", "2", "3", "4"]
    assert complete_steps(epath.Path(saved / "checkpoints")) == [3, 4]
    save(saved, 5)
    assert names(saved) == ["4", "5"]


@pytest.fixture
def small_files_only():
    """Within the test no file can grow beyond 64 KiB: a disk that is full for large files,
    without any privilege."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def wait_for_failure(store):
    for _ in range(3000):
        store.raise_failure()
        time.sleep(0.01)


def test_a_save_that_does_not_fit_is_reported_once_and_leaves_the_others(
    saved, small_files_only, caplog
):
    store = CheckpointManager(saved, keep_best=1)
    store.save(4, **tree(4, size=1 << 20), metrics={})
    with (
        pytest.raises(RunError, match=r"cannot be written \(File too large\)"),
        report_disk_errors(saved),
    ):
        wait_for_failure(store)
    store.close()
    small_files_only()
    assert not caplog.records, "Orbax has no say of its own"
    assert best.resolve_step(saved, "latest") == newest(saved) == 3
    for step in (1, 2, 3):
        assert_restores(saved, step)
    save(saved, 4)
    assert names(saved) == ["1", "3", "4"]
    assert_restores(saved, 4)


def test_a_failed_save_is_reported_at_the_next_one_and_at_the_end(saved, small_files_only):
    store = CheckpointManager(saved, keep_best=1)
    store.save(4, **tree(4, size=1 << 20), metrics={})
    with pytest.raises(ValueError, match="File too large"):
        store.save(5, **tree(5), metrics={})
    store.save(6, **tree(6, size=1 << 20), metrics={})
    with pytest.raises(ValueError, match="File too large"):
        store.close()


@pytest.mark.parametrize("part", ["params", "metrics.json"])
def test_who_reads_a_damaged_step_is_reported_of_the_others(saved, part):
    flip_bit(
        largest(saved / "checkpoints/1/params")
        if part == "params"
        else saved / "checkpoints/1" / part,
        random.Random(0),
    )
    shapes = abstract(tree(1))["params"]
    with pytest.raises(
        UserError,
        match=r"checkpoints/1 is damaged \(.*\); .*copy, or name another step \(it has 2, 3\)",
    ):
        load_params(saved, best.resolve_step(saved), shapes)
    loaded = load_params(saved, best.resolve_step(saved, "2"), shapes)
    jax.tree.map(np.testing.assert_array_equal, loaded, tree(2)["params"])


def test_damage_in_the_optimiser_alone_does_not_keep_from_evaluating(saved):
    flip_bit(largest(saved / "checkpoints/3/optimizer"), random.Random(0))
    loaded = load_params(saved, 3, abstract(tree(3))["params"])
    jax.tree.map(np.testing.assert_array_equal, loaded, tree(3)["params"])


def test_parameters_alone_are_sealed_too(tmp_path):
    save_params(tmp_path, tree(0)["params"])
    assert checksums.find_damage(tmp_path / "checkpoints/0") is None
    assert stored_groups(tmp_path, 0) == {"protein", "text"}
    shutil.copytree(tmp_path / "checkpoints", tmp_path / "copy/checkpoints")
    flip_bit(largest(tmp_path / "copy/checkpoints/0/params"), random.Random(0))
    with pytest.raises(
        UserError,
        match=r"is damaged \(params/.* is not as it was saved\); replace it",
    ):
        stored_groups(tmp_path / "copy", 0)


def test_a_checkpoint_made_anew_under_the_same_name_is_read_anew(tmp_path):
    for step in (1, 2):
        save_params(tmp_path, tree(step, size=64 * step)["params"])
        loaded = load_params(tmp_path, 0, abstract(tree(step, size=64 * step))["params"])
        jax.tree.map(np.testing.assert_array_equal, loaded, tree(step, size=64 * step)["params"])
        shutil.rmtree(tmp_path / "checkpoints/0")

"""Fine-tuning on a tiny tower: the right gradients at the right rates, any mesh, and resuming to
the same bits."""

import dataclasses
import functools
import pathlib
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.eval import fine_tuning as fine_tuning_config
from data_pipelines.common.errors import RunError, UserError
from data_pipelines.training.examples import protein_example
from eval.data.base.task import Sample, Task
from eval.protocols import fine_tuning
from eval.protocols.fine_tuning import FineTuning
from eval.protocols.heads import KINDS
from eval.protocols.problem import Problem, prepare_splits
from eval.protocols.tuned_network import initial_state, make_network, packed_batches, standardised
from protclip_jax.checkpoints import metadata, workdir
from protclip_jax.checkpoints.parameters import save_params
from protclip_jax.distributed import sharding
from tests.support import problems, tiny
from tests.support.problems import reference_loss

MODEL = {
    "protein": {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 64},
    "text": None,
    "projection_dim": 16,
    "num_prototypes": 8,
    "prototype_temperature": 0.9,
    "dtype": "float32",
    "attention": "dense",
    "remat": "none",
}


@functools.cache
def tower_params():
    ones = jnp.ones((1, 4), jnp.int32)
    init = jax.jit(lambda key: tiny.model().init(key, ones, ones, ones, 1, method="encode_protein"))
    return init(jax.random.key(0))["params"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    save_params(folder, tower_params())
    metadata.write_metadata(
        folder, {"model": MODEL, "tokenizer": {"max_text_tokens": 64}, "pda": {"theta": 0.3}}, None
    )
    return folder


def small(**changes):
    config = fine_tuning_config.get_config()
    config.update(
        seeds=(3,), hidden=16, max_epochs=3, dtype="float32", remat="none", max_protein_tokens=24
    )
    config.batch.update(records=24, rows=8, slots=4, protein_tokens=64)
    config.optimizer.update(learning_rate=3e-3, schedule="constant", warmup_fraction=0.0)
    config.update(changes)
    return config


@functools.cache
def problem(kind, score=None):
    prepared = prepare_splits(problems.task(kind, train=60, valid=20, test=20), **problems.SPLITS)
    judge = problems.judge(kind)
    return Problem(
        "planted", kind, problems.CLASSES, prepared.splits, score or judge.metrics[judge.main]
    )


def begun(checkpoint, kind="multiclass", *, mesh=(-1, 1), config=None):
    """(network, state, optimizer, batches of the first epoch in their own order)."""
    config = config or small()
    mesh = sharding.make_mesh(*mesh)
    network = make_network(
        checkpoint, config, outputs=KINDS[kind].outputs(3), loss=KINDS[kind].loss, mesh=mesh
    )
    examples = [protein_example(sequence) for sequence in problem(kind).sequences("train")]
    state, optimizer = initial_state(network, checkpoint, 0, config, seed=3, total_steps=9)
    batches = list(
        packed_batches(
            examples, problem(kind).targets("train"), np.arange(len(examples)), config.batch
        )
    )
    return network, state, optimizer, batches


def on_host(tree):
    return jax.tree.map(np.asarray, tree)


# --- Network and loss ---


def test_batches_hold_every_record_once_with_its_target():
    made = problem("multiclass")
    examples = [protein_example(sequence) for sequence in made.sequences("train")]
    order = np.random.default_rng(0).permutation(len(examples))
    config = small().batch
    config.update(records=25)
    batches = list(packed_batches(examples, made.targets("train"), order, config))
    assert [records for records, _ in batches] == [25, 25, 10]
    seen = []
    for records, parts in batches:
        found = []
        for rows in parts:
            assert rows.batch.protein_tokens.shape == (8, 64)
            for row, slot in np.argwhere(rows.batch.slot_mask):
                tokens = rows.batch.protein_tokens[row][
                    rows.batch.protein_slot_ids[row] == slot + 1
                ]
                found.append((tokens.tolist(), int(rows.targets[row, slot])))
        assert len(found) == records
        seen += sorted(found)
    pairs = list(
        zip(
            (e.protein_tokens.tolist() for e in examples),
            made.targets("train").tolist(),
            strict=True,
        )
    )
    expected = []
    for chosen in (order[:25], order[25:50], order[50:]):
        expected += sorted(pairs[i] for i in chosen)
    assert seen == expected


def means_alone(samples):
    """float64 [n, D]: the mean over residues of the tower's vectors, protein by protein."""
    tower = jax.jit(
        lambda *row: tiny.model().apply(
            {"params": tower_params()}, *row, 1, method="encode_protein"
        )
    )
    means = []
    for sample in samples:
        tokens = protein_example(sample.sequence).protein_tokens
        padded = (0, 64 - tokens.size)
        ids, positions = np.ones(tokens.size, np.int32), np.arange(tokens.size, dtype=np.int32)
        hidden = tower(*[np.pad(x, padded)[None] for x in (tokens, ids, positions)])
        means.append(np.asarray(hidden[0, 1 : tokens.size - 1], np.float64).mean(0))
    return np.stack(means)


@pytest.mark.parametrize(
    ("kind", "standardise"), [("multiclass", False), ("multilabel", False), ("multiclass", True)]
)
def test_loss_is_that_of_each_protein_alone(checkpoint, kind, standardise):
    """The head on the means, standardised over all of training or not; (sum, count) over the
    batch's slots."""
    network, state, optimizer, ((records, parts), *_) = begun(checkpoint, kind)
    if standardise:
        state = standardised(
            network, state, [protein_example(s) for s in problem(kind).sequences("train")]
        )
    params = on_host(state.params)
    _, loss = network.train_step(optimizer, state, parts, records)
    means = means_alone(problem(kind).splits["train"])
    features = ((means - means.mean(0)) / means.std(0) if standardise else means)[:records]
    first, second = params["head"]["hidden"], params["head"]["output"]
    hidden = np.maximum(features @ first["kernel"] + first["bias"], 0)
    expected = reference_loss(
        kind, hidden @ second["kernel"] + second["bias"], problem(kind).targets("train")[:records]
    )
    assert float(loss.count) == records == 24
    np.testing.assert_allclose(float(loss.sum), expected.sum(), rtol=1e-4)


def test_gradients_reach_the_tower_at_the_multipliers_rate(checkpoint):
    """Adam's updates do not depend on the scale of gradients, so that the tower's are the
    multiplier times what 1 gives."""

    def moved(multiplier):
        config = small()
        config.optimizer.groups = (
            ("rotary_inv_freq", "frozen"),
            ("^protein/", multiplier),
            (".", 1.0),
        )
        network, state, optimizer, batches = begun(checkpoint, config=config)
        before = on_host({**state.trainable})
        for records, parts in batches[:2]:  # the first step of the schedule has the rate 0
            state, _ = network.train_step(optimizer, state, parts, records)
        return {
            path: np.asarray(value, np.float64) - before[path]
            for path, value in state.trainable.items()
        }

    full, tenth = moved(1.0), moved(0.1)
    assert any(path.startswith("head/") for path in full)
    assert "protein/rotary_inv_freq" not in full
    assert not any(path.startswith("features/") for path in full)
    for path, whole in full.items():
        factor = 0.1 if path.startswith("protein/") else 1.0
        np.testing.assert_allclose(tenth[path], factor * whole, rtol=2e-2, atol=2e-7)
        # A key's bias changes no attention weight; what is left of its gradient is rounding.
        assert np.abs(whole).max() > 1e-4 or "key/bias" in path, path


def test_all_devices_give_what_one_gives_with_another_division_into_parts(checkpoint):
    """Three steps with rows over 8 devices and parameters over 4 of them; on one device rows are
    fewer and shorter."""
    results = []
    for devices, division in ((8, {}), (1, {"rows": 3, "slots": 2, "protein_tokens": 40})):
        config = small()
        config.batch.update(division)
        network, state, optimizer, batches = begun(checkpoint, mesh=(2, 4), config=config)
        assert not state.trainable["head/hidden/kernel"].is_fully_replicated
        if devices == 1:
            alone = jax.make_mesh(
                (1, 1),
                sharding.BATCH_AXES,
                devices=jax.devices()[:1],
                axis_types=network.mesh.axis_types,
            )
            network = dataclasses.replace(network, mesh=alone)
            state = jax.device_put(on_host(state), sharding.replicated(alone))
        for records, parts in batches:
            state, loss = network.train_step(optimizer, state, parts, records)
        outputs = network.predict(
            state.params, [protein_example(s) for s in problem("multiclass").sequences("valid")]
        )
        results.append((on_host(state.trainable), float(loss.sum), outputs, len(parts)))
    (params, loss, outputs, parts), (expected, loss_alone, outputs_alone, parts_alone) = results
    assert parts != parts_alone
    np.testing.assert_allclose(loss, loss_alone, rtol=1e-4)
    np.testing.assert_allclose(outputs, outputs_alone, atol=1e-3)
    for path, value in expected.items():
        np.testing.assert_allclose(params[path], value, atol=1e-4)


# --- The protocol ---


class Killed(BaseException):
    """Stands for the end of a process: nothing catches it."""


def scripted(values):
    """A score that gives these values, then ends the process."""
    found = iter(values)

    def score(outputs, targets):
        value = next(found, None)
        if value is None:
            raise Killed
        return value

    return score


def test_a_run_stops_early_and_a_killed_one_ends_with_the_same_bits(checkpoint, tmp_path):
    script, config = [0.2, 0.9, 0.4], small(max_epochs=50, patience=1, standardise=True)
    whole = FineTuning(checkpoint, config, tmp_path / "whole")(
        problem("multiclass", scripted(script))
    )
    assert (whole.facts["epochs"], whole.facts["best_epoch"], whole.facts["best_valid"]) == (
        [3],
        [2],
        [0.9],
    )
    assert not list((tmp_path / "whole").rglob("checkpoints"))
    long = {}
    for split, some in problem("multiclass").splits.items():
        long[split] = sum(len(s.sequence) > 22 for s in some)
    assert whole.facts["truncated"] == long
    assert min(long.values()) > 0

    with pytest.raises(Killed):
        FineTuning(checkpoint, config, tmp_path / "killed")(
            problem("multiclass", scripted(script[:2]))
        )
    resumed = FineTuning(checkpoint, config, tmp_path / "killed")(
        problem("multiclass", scripted(script[2:]))
    )
    # What is finished is read, not made again.
    again = FineTuning(checkpoint, config, tmp_path / "whole")(problem("multiclass", scripted([])))
    # The rate is constant, so that the number of planned epochs changes no step.
    shorter = small(max_epochs=2, standardise=True)
    two = FineTuning(checkpoint, shorter, tmp_path / "two")(
        problem("multiclass", scripted(script[:2]))
    )
    for other in (resumed, again, two):
        for split, outputs in whole.outputs.items():
            np.testing.assert_array_equal(other.outputs[split], outputs)
    assert resumed.facts == again.facts == whole.facts
    as_they_are = FineTuning(checkpoint, small(max_epochs=2), tmp_path / "plain")(
        problem("multiclass", scripted(script[:2]))
    )
    assert np.abs(as_they_are.outputs["test"] - whole.outputs["test"]).max() > 1e-2


def test_another_run_in_the_same_folder_is_refused(checkpoint, tmp_path):
    started = problem("multiclass", scripted([]))
    with pytest.raises(Killed):
        FineTuning(checkpoint, small(), tmp_path)(started)
    with pytest.raises(UserError, match="other settings .config."):
        FineTuning(checkpoint, small(patience=3), tmp_path)(started)
    with pytest.raises(UserError, match="other settings .data."):
        FineTuning(checkpoint, small(), tmp_path)(
            dataclasses.replace(started.with_shuffled_labels(), name="planted")
        )
    with workdir.lock(tmp_path / "planted" / "seed-3"), pytest.raises(UserError, match="in use"):
        FineTuning(checkpoint, small(), tmp_path)(started)


def test_a_loss_that_is_no_number_ends_the_run(checkpoint, tmp_path):
    config = small()
    config.optimizer.update(learning_rate=1e29)
    with pytest.raises(RunError, match="lower optimizer.learning_rate"):
        FineTuning(checkpoint, config, tmp_path)(problem("multiclass"))


def tune(checkpoint, folder):
    """Runs as a process of its own, to its end."""
    FineTuning(pathlib.Path(checkpoint), small(max_epochs=4), pathlib.Path(folder))(
        problem("multiclass")
    )


@pytest.mark.soak
def test_processes_killed_at_any_time_leave_what_the_next_goes_on_from(checkpoint, tmp_path):
    def start(folder):
        program = (
            "import sys; from tests.eval.protocols.test_fine_tuning import tune; "
            "tune(*sys.argv[1:])"
        )
        return subprocess.Popen([sys.executable, "-c", program, str(checkpoint), str(folder)])

    assert start(tmp_path / "whole").wait() == 0
    saved = tmp_path / "killed" / "planted" / "seed-3" / "checkpoints"
    for epochs in (1, 2, 3):
        process = start(tmp_path / "killed")
        while (
            process.poll() is None
            and not (saved / str(epochs)).exists()
            and not (saved / f"{epochs}.partial").exists()
        ):
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert start(tmp_path / "killed").wait() == 0
    results = [
        tmp_path / name / "planted" / "seed-3" / fine_tuning.RESULT for name in ("whole", "killed")
    ]
    with np.load(results[0]) as whole, np.load(results[1]) as resumed:
        for name, values in whole.items():
            np.testing.assert_array_equal(resumed[name], values)


@pytest.mark.soak
def test_it_learns(checkpoint, tmp_path):
    """Which of three letters is commonest can be learnt from the sequence alone."""
    rng = np.random.default_rng(0)

    def samples(count):
        made = []
        for index in range(count):
            target = int(rng.integers(3))
            letters = rng.choice(
                list("ACD" + "EFG"), 40, p=np.where(np.arange(6) == target, 0.5, 0.1)
            )
            made.append(Sample(f"P{index}", "".join(letters), target))
        return made

    splits = {"train": samples(96), "valid": samples(24), "test": samples(48)}
    task = Task("letters", "multiclass", tuple("abc"), splits, [], [])
    judge = problems.judge("multiclass")
    made = Problem(
        task.name,
        task.kind,
        3,
        prepare_splits(task, **problems.SPLITS).splits,
        judge.metrics["accuracy"],
    )
    config = small(max_epochs=12, max_protein_tokens=64)
    config.optimizer.groups = (("rotary_inv_freq", "frozen"), ("^protein/", 1.0), (".", 1.0))
    fitted = FineTuning(checkpoint, config, tmp_path)(made)
    assert made.score(fitted.outputs["test"][0], made.targets("test")) > 0.7

"""The rehearsal's release has the published layout, and its commands run: small here, at full
size in the soak."""

import importlib
import json
import math

import numpy as np
import pytest
from safetensors.numpy import load_file

from benchmarks import rehearsal
from benchmarks.rehearsal import SHAPES, Shape, Tower, layout
from data_pipelines.common.errors import RunError
from protclip_jax import ProtCLIP


def test_the_layout_has_the_published_count_of_tensors_and_numbers():
    sizes = layout(SHAPES["released"])
    assert len(sizes) == 813
    assert sum(math.prod(size) for size in sizes.values()) == 767_255_546


def test_the_layout_is_that_of_a_release_made_with_the_released_code(peer_release):
    tensors = load_file(peer_release / "model.safetensors")
    predictor = len(tensors["predictor.0.bias"])
    shape = Shape(Tower(2, 32, 4, 64), Tower(2, 48, 4, 96), 160, 24, 16, predictor, 64, 64)
    assert layout(shape) == {name: tensor.shape for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, sample_dataset):
    """A miniature release beside what the commands read."""
    folder = tmp_path_factory.mktemp("rehearsal")
    (folder / "protanno").symlink_to(sample_dataset / "protanno")
    rehearsal.write_release(folder / "release", SHAPES["miniature"], sample_dataset / "vocab.txt")
    fasta = [
        f">protein{number}\n{sequence}\n" for number, sequence in enumerate(rehearsal.proteins())
    ]
    (folder / "proteins.fasta").write_text("".join(fasta))
    return folder


def called(step):
    """Runs a step in this process."""
    name = step.module if step.module == "protclip_train" else f"{step.module}.__main__"
    assert importlib.import_module(name).main(step.arguments) == 0, step.name


def test_the_commands_run_on_a_miniature_in_their_order(folder):
    steps = {step.name: step for step in rehearsal.rehearsal(folder, SHAPES["miniature"])}
    training = steps.pop("one training step")
    assert f"--config.init.all={folder / 'checkpoint'}" in training.arguments
    del steps["load"]
    for step in steps.values():
        called(step)
        assert step.output.exists()
    model = ProtCLIP.load(folder / "checkpoint")
    assert model.encode_proteins(rehearsal.proteins()).shape == (
        rehearsal.PROTEINS,
        SHAPES["miniature"].projection,
    )
    exported = load_file(folder / "hf/protein/model.safetensors")
    released = load_file(folder / "release/model.safetensors")
    name = "encoder.layer.1.intermediate.dense.weight"
    np.testing.assert_array_equal(
        exported[name], released[f"protein_model.{name}"].astype(np.float32)
    )


def test_a_step_that_needs_more_memory_than_there_is_is_not_started(tmp_path):
    step = rehearsal.Step("training", "nothing", [], needs_gib=1e6)
    with pytest.raises(RunError, match=r"training needs about 1000000.0 GiB, .*[\d.]+ GiB"):
        rehearsal.measured(step)


def test_the_training_step_needs_its_state_and_half_as_much():
    """767 M parameters of which 109 M are frozen: 4 bytes each, with gradients and two moments
    16 bytes."""
    sizes = {name: math.prod(size) for name, size in layout(SHAPES["released"]).items()}
    frozen = sum(count for name, count in sizes.items() if name.startswith("text_model."))
    state = 4 * frozen + 16 * (sum(sizes.values()) - frozen)
    assert rehearsal.training_gib(SHAPES["released"]) == pytest.approx(1.5 * state / 2**30)
    assert 10 < state / 1e9 < 11.5


@pytest.mark.soak
@pytest.mark.parametrize("shape", SHAPES)
def test_every_step_as_a_process_of_its_own(tmp_path, shape):
    if shape == "released" and rehearsal.available_gib() < rehearsal.training_gib(SHAPES[shape]):
        pytest.skip(f"{rehearsal.available_gib():.1f} GiB of memory are too few")
    assert rehearsal.main(["--folder", str(tmp_path), "--shape", shape]) == 0
    results = json.loads((tmp_path / "rehearsal.json").read_text())
    assert list(results) == [step.name for step in rehearsal.rehearsal(tmp_path, SHAPES[shape])]
    assert all(one["seconds"] > 0 and one["peak_gib"] > 0.1 for one in results.values())

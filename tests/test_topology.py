"""A checkpoint continues on other devices and meshes: the same state and data bit for bit, the
same losses."""

import shutil

import jax
import numpy as np
import pytest
from jax.sharding import AxisType

import protclip_train as train
from protclip_jax import ProtCLIP
from protclip_jax.checkpoints.parameters import params_fingerprint
from protclip_jax.distributed import sharding
from tests.support.training_runs import arguments, contents, records

STEPS, SAVED = 6, 4
SEQUENCES = ["MKTAYIAKQR", "GSHMLEDPVA" * 5]


class Devices:
    """Gives training and loading a mesh over the first devices only, and keeps what each
    training step begins with."""

    def __init__(self, patch, *, data, fsdp):
        devices = jax.devices()[: data * fsdp]
        mesh = jax.make_mesh(
            (data, fsdp), sharding.BATCH_AXES, axis_types=(AxisType.Auto,) * 2, devices=devices
        )
        patch.setattr(sharding, "make_mesh", lambda *sizes: mesh)
        patch.setattr(train, "make_hooks", lambda *of_config: [])
        compiled_once = train.compiled_once
        patch.setattr(train, "compiled_once", lambda steps: self._watched(compiled_once(steps)))
        self.states, self.batches = [], []

    def _watched(self, train_step):
        def step(state, batch):
            self.states.append(jax.device_get((state.params, state.optimizer)))
            self.batches.append(jax.device_get(batch))
            return train_step(state, batch)

        return step

    def train(self, sample_dataset, workdir):
        assert train.main(arguments(sample_dataset, workdir, f"--config.total_steps={STEPS}")) == 0


def losses(workdir):
    return {record["step"]: record["loss"] for record in records(workdir) if "loss" in record}


def assert_same_bits(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.fixture(scope="module")
def on_eight(sample_dataset, tmp_path_factory):
    """(workdir, the steps' beginnings) of a run on a mesh of 4 × 2 devices."""
    workdir = tmp_path_factory.mktemp("eight") / "run"
    with pytest.MonkeyPatch.context() as patch:
        devices = Devices(patch, data=4, fsdp=2)
        devices.train(sample_dataset, workdir)
    return workdir, devices


SOAK = [(1, 1), (2, 1), (1, 2), (4, 1), (8, 1), (1, 8), (2, 4)]


@pytest.mark.parametrize(
    ("data", "fsdp"), [(1, 4), *(pytest.param(*mesh, marks=pytest.mark.soak) for mesh in SOAK)]
)
def test_a_run_goes_on_with_other_devices(
    sample_dataset, on_eight, tmp_path, monkeypatch, data, fsdp
):
    first, expected = on_eight
    workdir = tmp_path / "run"
    shutil.copytree(first, workdir)
    shutil.rmtree(workdir / f"checkpoints/{STEPS}")
    devices = Devices(monkeypatch, data=data, fsdp=fsdp)
    devices.train(sample_dataset, workdir)
    assert_same_bits(devices.states[0], expected.states[SAVED])
    assert_same_bits(devices.batches, expected.batches[SAVED:])
    assert_same_bits(
        contents(workdir, STEPS)["data"]["streams"], contents(first, STEPS)["data"]["streams"]
    )
    assert losses(workdir).keys() == losses(first).keys()
    for step, loss in losses(first).items():
        # One part in 10⁵: sums over rows and devices come in another order.
        assert losses(workdir)[step] == pytest.approx(loss, rel=1e-5), step


def test_a_checkpoint_is_read_on_one_device(on_eight, monkeypatch):
    workdir, expected = on_eight
    everywhere = ProtCLIP.load(workdir, step=SAVED)
    Devices(monkeypatch, data=1, fsdp=1)
    alone = ProtCLIP.load(workdir, step=SAVED)
    assert params_fingerprint(alone._params) == params_fingerprint(everywhere._params)
    assert_same_bits(jax.device_get(alone._params), expected.states[SAVED][0])
    np.testing.assert_allclose(
        alone.encode_proteins(SEQUENCES), everywhere.encode_proteins(SEQUENCES), atol=1e-6
    )
    np.testing.assert_allclose(
        alone.encode_texts(SEQUENCES), everywhere.encode_texts(SEQUENCES), atol=1e-6
    )

import os
import pathlib

import numpy as np
import pytest


@pytest.fixture(scope="session")
def peer_release() -> pathlib.Path:
    """The tiny released checkpoint with recorded numbers; set PROTCLIP_PEER to the folder that holds `tiny_release`."""
    folder = pathlib.Path(os.environ.get("PROTCLIP_PEER", "../shared/peer")) / "tiny_release"
    if not (folder / "fixture.npz").exists():
        pytest.skip(f"{folder} is absent; set PROTCLIP_PEER")
    return folder


@pytest.fixture(scope="session")
def peer_recording(peer_release) -> dict[str, np.ndarray]:
    """What the released model computed (`fixture.json` explains each array)."""
    with np.load(peer_release / "fixture.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def peer_gradients(peer_release) -> dict[str, np.ndarray]:
    """Gradients of the released model's total loss."""
    with np.load(peer_release / "grads.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def peer_weights(peer_release) -> dict[str, np.ndarray]:
    """The released model's own parameters; Linear weights are [out, in]."""
    from safetensors.numpy import load_file

    return load_file(peer_release / "model.safetensors")


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """The folder of real data files: PROTCLIP_REAL_DATA, by default ../shared/data."""
    folder = pathlib.Path(os.environ.get("PROTCLIP_REAL_DATA", "../shared/data"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set PROTCLIP_REAL_DATA")
    return folder

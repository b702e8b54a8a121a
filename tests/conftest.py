"""Fixtures of the whole suite, XLA's flags and cache, set before JAX starts, and the checks of
arrays' shapes.

Each call of a function of the project in a test's own process checks the shapes and dtypes that its
jaxtyping annotations give, of arguments and result, and raises `jaxtyping.TypeCheckError` where an
array does not match. Other annotations, fields of named tuples, the processes that tests start,
and what `data_pipelines` does for each record are not checked.
"""

import atexit
import gc
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from jaxtyping import install_import_hook

import tests.support.shape_checks  # noqa: F401 - the import hook below finds it by name.
from tests.support.compilation import QUICK_COMPILATION
from tests.support.file_server import running

# Eight virtual devices.
os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count=8 {QUICK_COMPILATION}")
# libtpu, which the tests of `--aot` need, looks for TPUs and says at length that there are none.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# All processes of one run of the suite, those that tests start among them, share what one of them
# has compiled.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    COMPILED = tempfile.mkdtemp(prefix="compiled-")
    atexit.register(shutil.rmtree, COMPILED, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

# Before anything of the project is imported: modules loaded earlier would stay unchecked.
CHECKED = [
    "data_pipelines.build",
    "data_pipelines.common",
    "data_pipelines.inputs",
    "eval",
    "protclip_jax",
]
install_import_hook(CHECKED, "tests.support.shape_checks.check_arrays")

# Traces of programs are millions of objects that live on; by default, looking at them again and
# again takes minutes.
gc.set_threshold(100_000, 50, 100)

# Without bytecode, each of the many processes that tests start would compile the project again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_collection_modifyitems(items):
    """Whole programs first, the longest files: then the processes that share the suite end at
    about the same time."""
    items.sort(key=lambda item: len(item.path.relative_to(item.config.rootpath).parts))


@pytest.fixture(scope="session")
def peer_release() -> pathlib.Path:
    """The tiny released checkpoint with recorded numbers; set PROTCLIP_PEER to the folder that
    holds `tiny_release`."""
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


@pytest.fixture(scope="session")
def sample_dataset(tmp_path_factory) -> pathlib.Path:
    """A folder with a small sample in every form: sample.dat.gz, clusters.tsv, protanno/,
    vocab.txt."""
    from data_pipelines import vocabulary
    from data_pipelines.build import __main__ as build
    from data_pipelines.sample import __main__ as sample

    folder = tmp_path_factory.mktemp("sample")
    assert sample.main(["--output", str(folder), "--records", "400"]) == 0
    built = ["--input", str(folder / "sample.dat.gz"), "--clusters", str(folder / "clusters.tsv")]
    built += [
        "--validation_fraction",
        "0.2",
        "--test_fraction",
        "0.2",
        "--output",
        str(folder / "protanno"),
    ]
    assert build.main(built) == 0
    learnt = [
        "--data_dir",
        str(folder / "protanno"),
        "--output",
        str(folder / "vocab.txt"),
        "--size",
        "400",
    ]
    assert vocabulary.main(learnt) == 0
    return folder


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts a disk of a size such as `1m` and returns its folder; skips where
    that is not permitted."""
    folder = tmp_path / "disk"

    def mount(size: str) -> pathlib.Path:
        folder.mkdir()
        if os.system(f"mount -t tmpfs -o size={size} tmpfs {folder} 2> {tmp_path}/mount.log"):
            pytest.skip(f"no small disk: {(tmp_path / 'mount.log').read_text().strip()}")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def gcs(monkeypatch):
    """An emulator of Google Cloud Storage with a bucket of the name `bucket`, which this process
    and those it starts use."""
    if importlib.util.find_spec("gcsfs") is None:
        pytest.skip("gcsfs is absent")
    import gcsfs
    from etils.epath import backend

    from tests.support.fake_gcs import FakeGCS

    def forget():
        gcsfs.GCSFileSystem.clear_instance_cache()
        backend.fsspec_backend._get_filesystem.cache_clear()

    with FakeGCS("bucket") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        forget()
        yield server
        forget()


@pytest.fixture
def file_server(monkeypatch):
    """A local HTTP server, asked without a proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running() as server:
        yield server

"""A stranger's checkpoint: what Orbax and TensorStore would follow, wait for or unpack is
refused, in one sentence."""

import contextlib
import functools
import os
import random
import signal

import jax
import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints import best, checksums, parameters
from protclip_jax.checkpoints.parameters import load_params
from protclip_jax.checkpoints.stored_arrays import stored_arrays
from tests.support import hostile_checkpoint
from tests.support.hostile_checkpoint import (
    ARRAY,
    changed,
    database,
    edit_array,
    edit_json,
    move_root,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return hostile_checkpoint.make(tmp_path_factory.mktemp("sound"))


@functools.cache
def abstract():
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), hostile_checkpoint.params()
    )


def load(folder):
    """The parameters, as `ProtCLIP.load` reads them."""
    return load_params(folder, best.resolve_step(folder), abstract())


def refusal(folder) -> str:
    """The sentence that refuses a checkpoint."""
    with pytest.raises(UserError) as caught:
        load(folder)
    assert len(str(caught.value)) <= 1000
    return str(caught.value)


def test_shapes_and_types_are_those_that_were_saved(sound):
    found = stored_arrays(sound / "checkpoints" / "0")
    saved = hostile_checkpoint.params()
    assert found == jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), saved)


def rename(**entry):
    """Changes what the metadata say of one array."""

    def edit(metadata):
        first = next(iter(metadata["tree_metadata"].values()))
        first.update(entry)

    return edit


def keys(*names, kind=2):
    return [{"key": name, "key_type": kind} for name in names]


METADATA = {
    "a path": (rename(key_metadata=keys("../../../../secret")), "'../../../../secret' cannot name"),
    "an absolute path": (rename(key_metadata=keys("/etc")), "'/etc' cannot name"),
    "a dot": (rename(key_metadata=keys("bsr_head.input", "bias")), "'bsr_head.input' cannot name"),
    "an address": (rename(key_metadata=keys("http://localhost/x")), "cannot name"),
    "a number": (rename(key_metadata=keys(5)), "does not list arrays"),
    "an index": (rename(key_metadata=keys("5", kind=1)), "'5' cannot name"),
    "no list": (rename(key_metadata=7), "does not list arrays"),
    "another kind": (
        rename(value_metadata={"value_type": "os.system", "skip_deserialize": False}),
        "Orbax finds no arrays",
    ),
    "files instead of a database": (lambda m: m.update(use_ocdbt=False), "layout other than"),
    "an old format": (lambda m: m.update(use_zarr3=False), "layout other than"),
    "no tree": (lambda m: m.pop("tree_metadata"), "does not list arrays"),
    "no arrays": (lambda m: m.update(tree_metadata={}), "Orbax finds no arrays"),
}


@pytest.mark.parametrize("kind", METADATA)
def test_names_and_layouts_that_would_lead_elsewhere(sound, tmp_path, kind):
    edit, message = METADATA[kind]
    folder = changed(
        sound, tmp_path / "x", lambda step: edit_json(step / "params" / "_METADATA", edit)
    )
    assert message in refusal(folder)


def zarr(**fields):
    return lambda content: content | fields


def pieces(*shape):
    """An array that is unpacked in pieces of this shape."""
    grid = {"name": "regular", "configuration": {"chunk_shape": list(shape)}}
    return zarr(chunk_grid=grid, codecs=[{"name": "bytes", "configuration": {"endian": "little"}}])


ARRAYS = {
    "a terabyte": (
        zarr(shape=[1 << 40]),
        "is (1099511627776,) in the checkpoint, but should be (16,)",
    ),
    "negative": (zarr(shape=[-16]), "Orbax finds no arrays"),
    "large pieces": (pieces(1 << 28), "is stored in pieces of (268435456,)"),
    "texts": (zarr(data_type="string"), "Orbax finds no arrays"),
    "codecs that do not exist": (zarr(codecs=[{"name": "pickle"}]), "Orbax finds no arrays"),
    "JSON": (lambda content: b"\x00\xff", "Orbax finds no arrays"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_that_are_not_what_they_say(sound, tmp_path, kind):
    edit, message = ARRAYS[kind]
    folder = changed(sound, tmp_path / "x", lambda step: edit_array(step, edit))
    assert message in refusal(folder)


@pytest.mark.parametrize("reference", ["../elsewhere/root", "file:///elsewhere/root"])
def test_references_of_the_database_stay_in_its_folder(sound, tmp_path, reference):
    """TensorStore's own doing, which an upgrade must not lose."""

    def move(step):
        (step / "elsewhere").mkdir()
        move_root(step, step / "elsewhere", reference)

    assert "Orbax finds no arrays" in refusal(changed(sound, tmp_path / "x", move))


def test_a_reference_within_the_folder_is_followed(sound, tmp_path):
    """So that the refusals above are not for another reason."""
    folder = changed(sound, tmp_path / "x", lambda step: move_root(step, step / "params", "root"))
    jax.tree.map(np.testing.assert_array_equal, load(folder), hostile_checkpoint.params())


def handlers(name):
    return lambda metadata: metadata["item_handlers"].update(params=name)


@pytest.mark.parametrize("name", ["os.system", "antigravity.Handler", 5, None])
def test_a_handler_is_never_imported_by_its_name(sound, tmp_path, name):
    """Orbax knows its own handlers only, and takes the one for arrays instead."""
    folder = changed(
        sound, tmp_path / "x", lambda step: edit_json(step / "_CHECKPOINT_METADATA", handlers(name))
    )
    np.testing.assert_array_equal(
        load(folder)["logit_scale"]["log"], hostile_checkpoint.params()["logit_scale"]["log"]
    )


OTHER_FILES = {
    "_CHECKPOINT_METADATA": (b"[" * 100_000, "cannot be read"),
    "_CHECKPOINT_DELETION": (b'{"destination": "/"}', "cannot be read"),
    "params/_METADATA": (b"[" * 100_000, "nested too deeply"),
    "params/array_metadatas/process_0": (b'{"array_metadatas": [{}]}', "cannot be loaded"),
    "params/manifest.ocdbt": (b"\0" * 1000, "Error decoding manifest"),
    "metrics.json": (b'{"mrr": ' + b"9" * 5000 + b"}", "JSON"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_other_files_of_a_step(sound, tmp_path, name):
    content, message = OTHER_FILES[name]
    folder = changed(sound, tmp_path / "x", lambda step: (step / name).write_bytes(content))
    assert message in refusal(folder)


@pytest.mark.parametrize(
    "name", ["params/_METADATA", "params/_sharding", "params/manifest.ocdbt", "metrics.json"]
)
def test_metadata_of_any_size_are_not_read(sound, tmp_path, name):
    folder = changed(sound, tmp_path / "x", lambda step: os.truncate(step / name, 1 << 25))
    assert "33554432 bytes" in refusal(folder)


def test_a_seal_of_any_size_is_not_read(sound, tmp_path):
    folder = changed(sound, tmp_path / "x", lambda step: None)
    os.truncate(folder / "checkpoints" / "0" / checksums.CHECKSUMS, 1 << 30)
    assert "SHA256SUMS has 1073741824 bytes" in refusal(folder)


@pytest.fixture
def soon():
    """Ends a test that waits for a pipe."""

    def give_up(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", ["SHA256SUMS", "params/_METADATA", "params/pipe"])
@pytest.mark.usefixtures("soon")
def test_pipes_are_not_waited_for(sound, tmp_path, name):
    folder = changed(sound, tmp_path / "x", lambda step: None)
    path = folder / "checkpoints" / "0" / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert "neither a file nor a folder" in refusal(folder)


def test_devices_and_dangling_links_are_refused(sound, tmp_path):
    for index, target in enumerate(["/dev/zero", "nowhere"]):
        folder = changed(sound, tmp_path / str(index), lambda step: None)
        (folder / "checkpoints" / "0" / "params" / "extra").symlink_to(target)
        assert "neither a file nor a folder" in refusal(folder)


def test_a_folder_of_links_is_read_as_the_caches_of_model_hubs_are(sound, tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main"
    blobs.mkdir()
    for index, path in enumerate(sorted(path for path in sound.rglob("*") if path.is_file())):
        link = snapshot / path.relative_to(sound)
        link.parent.mkdir(parents=True, exist_ok=True)
        (blobs / str(index)).write_bytes(path.read_bytes())
        link.symlink_to(os.path.relpath(blobs / str(index), link.parent))
    jax.tree.map(np.testing.assert_array_equal, load(snapshot), hostile_checkpoint.params())


def test_numbers_that_cannot_be_unpacked_are_reported(sound, tmp_path):
    folder = changed(
        sound,
        tmp_path / "x",
        lambda step: database(step).write(f"{ARRAY}/c/0", b"junk" * 10).result(),
    )
    assert "cannot be loaded" in refusal(folder)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A few random changes."""
    content = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        position = rng.randrange(len(content) + 1)
        match rng.randrange(5):
            case 0 if position < len(content):
                content[position] ^= 1 << rng.randrange(8)
            case 1:
                del content[position : position + rng.choice([1, 4, 100])]
            case 2:
                content[position:position] = rng.randbytes(rng.choice([1, 4, 20]))
            case 3:
                content[position : position + 8] = rng.choice(
                    [b"\xff" * 8, bytes(8), b"99999999", b'"../../"', b"[[[[[[[[", b"null    "]
                )
            case 4:
                del content[position:]
    return bytes(content)


@pytest.mark.parametrize("rounds", [20, pytest.param(1000, marks=pytest.mark.soak)])
def test_random_damage_that_is_sealed_is_loaded_or_refused(sound, tmp_path, rounds):
    rng = random.Random(0)
    folder = changed(sound, tmp_path / "x", lambda step: None)
    step = folder / "checkpoints" / "0"
    files = sorted(
        path for path in step.rglob("*") if path.is_file() and path.name != checksums.CHECKSUMS
    )
    for _ in range(rounds):
        path = rng.choice(files)
        content = path.read_bytes()
        path.write_bytes(damaged(content, rng))
        checksums.write(step)
        parameters._checked.cache_clear()
        with contextlib.suppress(UserError):
            load(folder)
        path.write_bytes(content)

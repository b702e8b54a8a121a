"""Steps of a workdir's checkpoints: the same behaviour in a folder and in a bucket."""

import pathlib
import random

import pytest

from data_pipelines.common.errors import RunError, UserError
from protclip_jax.checkpoints.bucket import BucketFolder
from protclip_jax.checkpoints.step_folders import BucketSteps, LocalSteps

FILES = {"params/d/array": bytes(range(256)) * 20, "params/empty": b"", "data/x": b"x"}


class Folder:
    """Steps in a file system, and what the test itself does to the files."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.steps = LocalSteps(self.root)

    def write(self, name, content):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(content)

    def read(self, name):
        return (self.root / name).read_bytes()

    def remove(self, name):
        (self.root / name).unlink()

    def names(self):
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())


class Bucket:
    """The same in the emulator; `owned` is whether no other process has taken over."""

    def __init__(self, gcs):
        self.gcs, self.owned = gcs, True
        self.steps = BucketSteps(BucketFolder("gs://bucket/run/checkpoints"), self._check_owner)

    def _check_owner(self):
        if not self.owned:
            raise RunError("taken over")

    def write(self, name, content):
        self.gcs.put(f"bucket/run/checkpoints/{name}", content)

    def read(self, name):
        return self.gcs.objects[f"bucket/run/checkpoints/{name}"].content

    def remove(self, name):
        del self.gcs.objects[f"bucket/run/checkpoints/{name}"]

    def names(self):
        return [name.removeprefix("bucket/run/checkpoints/") for name in self.gcs.names("bucket/run/checkpoints/")]


@pytest.fixture(params=["folder", "bucket"])
def case(request, tmp_path):
    return Folder(tmp_path / "checkpoints") if request.param == "folder" else Bucket(request.getfixturevalue("gcs"))


def begin(case, step):
    """Writes a step as Orbax does."""
    name = str(case.steps.unfinished(step)).rstrip("/").rpartition("/")[2]
    for file, content in FILES.items():
        case.write(f"{name}/{file}", content)


def complete(case, *steps):
    for step in steps:
        begin(case, step)
        case.steps.publish(step, f'{{"metrics": {{"step": {step}}}}}')


def test_a_step_counts_once_it_is_published(case):
    begin(case, 3)
    assert case.steps.numbers() == []
    case.steps.publish(3, '{"metrics": {}}')
    complete(case, 10)
    begin(case, 12)
    assert case.steps.numbers() == [3, 10]
    assert case.steps.read_metrics(3) == {"metrics": {}}
    assert case.steps.find_damage(3) is None
    assert case.steps.find_damage(3, under="params/") is None
    assert {name for name in case.names() if name.startswith("3/")} == {
        *(f"3/{name}" for name in FILES),
        "3/SHA256SUMS",
        "3/metrics.json",
    }


def test_both_are_sealed_alike(tmp_path, gcs):
    seals = []
    for case in (Folder(tmp_path), Bucket(gcs)):
        complete(case, 3)
        seals.append(case.read("3/SHA256SUMS"))
    assert seals[0] == seals[1]


@pytest.mark.parametrize("name", [*FILES, "metrics.json", "SHA256SUMS"])
def test_every_damage_is_found(case, name):
    complete(case, 3)
    content, rng = case.read(f"3/{name}"), random.Random(0)
    damages = [b"", content[:-1], content + b"\0", *(_flipped(content, rng) for _ in range(5))]
    for damaged in damages:
        if damaged != content:
            case.write(f"3/{name}", damaged)
            assert case.steps.find_damage(3), damaged[:20]
    case.write(f"3/{name}", content)
    assert case.steps.find_damage(3) is None
    case.remove(f"3/{name}")
    if name != "SHA256SUMS":
        assert case.steps.find_damage(3) == f"{name} is missing"


def _flipped(content, rng):
    if not content:
        return b"\0"
    flipped = bytearray(content)
    flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def test_a_file_that_the_seal_does_not_list_is_damage(case):
    complete(case, 3)
    case.write("3/params/more", b"")
    assert case.steps.find_damage(3) == "params/more is not in SHA256SUMS"
    assert case.steps.find_damage(3, under="data/") is None
    case.remove("3/params/more")
    case.write("3/params/.nfs01", b"a file system's own")
    assert case.steps.find_damage(3) is None


def test_metrics_that_are_no_object_are_told(case):
    complete(case, 3)
    case.write("3/metrics.json", b"[]")
    with pytest.raises(UserError, match="metrics.json"):
        case.steps.read_metrics(3)


def test_damaged_steps_are_set_aside_whole(case):
    complete(case, 4)
    for expected in ("3.damaged", "3.damaged-2", "3.damaged-3"):
        complete(case, 3)
        files = {name.removeprefix("3/"): case.read(name) for name in case.names() if name.startswith("3/")}
        aside = case.steps.set_aside(3)
        assert str(aside).endswith(f"checkpoints/{expected}")
        assert case.steps.numbers() == [4]
        assert {name: case.read(f"{expected}/{name}") for name in files} == files
        assert not [name for name in case.names() if name.startswith("3/")]


def test_removing_takes_one_step(case):
    complete(case, 3, 30)
    case.steps.remove(3)
    assert case.steps.numbers() == [30]
    assert case.steps.find_damage(30) is None
    assert not [name for name in case.names() if name.startswith("3/")]


def test_what_was_cut_off_is_removed_and_nothing_else(case):
    complete(case, 3)
    begin(case, 4)
    case.write("notes/read.me", b"somebody's")
    case.write("2.damaged/params/x", b"")
    before = case.names()
    case.steps.remove_unfinished()
    assert case.names() == [name for name in before if not name.startswith("4")]


def test_a_removal_in_a_bucket_that_is_cut_off_leaves_no_step(gcs):
    case = Bucket(gcs)
    complete(case, 3)
    removed = []

    def only_one(method, path):
        if method == "DELETE":
            removed.append(path)
            return None if len(removed) == 1 else 403
        return None

    gcs.fault = only_one
    with pytest.raises(RunError):
        case.steps.remove(3)
    gcs.fault = lambda method, path: None
    assert case.steps.numbers() == []
    assert len(case.names()) == len(FILES) + 1
    case.steps.remove_unfinished()
    assert case.names() == []


@pytest.mark.parametrize(
    "change",
    [
        lambda steps: steps.unfinished(5),
        lambda steps: steps.publish(4, "{}"),
        lambda steps: steps.set_aside(3),
        lambda steps: steps.remove(3),
        lambda steps: steps.remove_unfinished(),
    ],
)
def test_who_no_longer_owns_a_bucket_changes_nothing(gcs, change):
    case = Bucket(gcs)
    complete(case, 3)
    begin(case, 4)
    case.owned = False
    before = dict(gcs.objects)
    with pytest.raises(RunError, match="taken over"):
        change(case.steps)
    assert gcs.objects == before

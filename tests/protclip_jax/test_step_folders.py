"""Steps of a workdir's checkpoints: the same behaviour in a folder and in a bucket."""

import pathlib
import random

import pytest

from data_pipelines.errors import RunError, UserError
from protclip_jax.bucket import BucketFolder
from protclip_jax.step_folders import BucketSteps, LocalSteps

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
def place(request, tmp_path):
    return Folder(tmp_path / "checkpoints") if request.param == "folder" else Bucket(request.getfixturevalue("gcs"))


def begin(place, step):
    """Writes a step as Orbax does."""
    name = str(place.steps.unfinished(step)).rstrip("/").rpartition("/")[2]
    for file, content in FILES.items():
        place.write(f"{name}/{file}", content)


def complete(place, *steps):
    for step in steps:
        begin(place, step)
        place.steps.publish(step, f'{{"metrics": {{"step": {step}}}}}')


def test_a_step_counts_once_it_is_published(place):
    begin(place, 3)
    assert place.steps.numbers() == []
    place.steps.publish(3, '{"metrics": {}}')
    complete(place, 10)
    begin(place, 12)
    assert place.steps.numbers() == [3, 10]
    assert place.steps.read_metrics(3) == {"metrics": {}}
    assert place.steps.find_damage(3) is None
    assert place.steps.find_damage(3, under="params/") is None
    assert {name for name in place.names() if name.startswith("3/")} == {
        *(f"3/{name}" for name in FILES),
        "3/SHA256SUMS",
        "3/metrics.json",
    }


def test_both_are_sealed_alike(tmp_path, gcs):
    seals = []
    for place in (Folder(tmp_path), Bucket(gcs)):
        complete(place, 3)
        seals.append(place.read("3/SHA256SUMS"))
    assert seals[0] == seals[1]


@pytest.mark.parametrize("name", [*FILES, "metrics.json", "SHA256SUMS"])
def test_every_damage_is_found(place, name):
    complete(place, 3)
    content, rng = place.read(f"3/{name}"), random.Random(0)
    damages = [b"", content[:-1], content + b"\0", *(_flipped(content, rng) for _ in range(5))]
    for damaged in damages:
        if damaged != content:
            place.write(f"3/{name}", damaged)
            assert place.steps.find_damage(3), damaged[:20]
    place.write(f"3/{name}", content)
    assert place.steps.find_damage(3) is None
    place.remove(f"3/{name}")
    if name != "SHA256SUMS":
        assert place.steps.find_damage(3) == f"{name} is missing"


def _flipped(content, rng):
    if not content:
        return b"\0"
    flipped = bytearray(content)
    flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def test_a_file_that_the_seal_does_not_list_is_damage(place):
    complete(place, 3)
    place.write("3/params/more", b"")
    assert place.steps.find_damage(3) == "params/more is not in SHA256SUMS"
    assert place.steps.find_damage(3, under="data/") is None
    place.remove("3/params/more")
    place.write("3/params/.nfs01", b"a file system's own")
    assert place.steps.find_damage(3) is None


def test_metrics_that_are_no_object_are_told(place):
    complete(place, 3)
    place.write("3/metrics.json", b"[]")
    with pytest.raises(UserError, match="metrics.json"):
        place.steps.read_metrics(3)


def test_damaged_steps_are_set_aside_whole(place):
    complete(place, 4)
    for expected in ("3.damaged", "3.damaged-2", "3.damaged-3"):
        complete(place, 3)
        files = {name.removeprefix("3/"): place.read(name) for name in place.names() if name.startswith("3/")}
        aside = place.steps.set_aside(3)
        assert str(aside).endswith(f"checkpoints/{expected}")
        assert place.steps.numbers() == [4]
        assert {name: place.read(f"{expected}/{name}") for name in files} == files
        assert not [name for name in place.names() if name.startswith("3/")]


def test_removing_takes_one_step(place):
    complete(place, 3, 30)
    place.steps.remove(3)
    assert place.steps.numbers() == [30]
    assert place.steps.find_damage(30) is None
    assert not [name for name in place.names() if name.startswith("3/")]


def test_what_was_cut_off_is_removed_and_nothing_else(place):
    complete(place, 3)
    begin(place, 4)
    place.write("notes/read.me", b"somebody's")
    place.write("2.damaged/params/x", b"")
    before = place.names()
    place.steps.remove_unfinished()
    assert place.names() == [name for name in before if not name.startswith("4")]


def test_a_removal_in_a_bucket_that_is_cut_off_leaves_no_step(gcs):
    place = Bucket(gcs)
    complete(place, 3)
    removed = []

    def only_one(method, path):
        if method == "DELETE":
            removed.append(path)
            return None if len(removed) == 1 else 403
        return None

    gcs.fault = only_one
    with pytest.raises(RunError):
        place.steps.remove(3)
    gcs.fault = lambda method, path: None
    assert place.steps.numbers() == []
    assert len(place.names()) == len(FILES) + 1
    place.steps.remove_unfinished()
    assert place.names() == []


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
    place = Bucket(gcs)
    complete(place, 3)
    begin(place, 4)
    place.owned = False
    before = dict(gcs.objects)
    with pytest.raises(RunError, match="taken over"):
        change(place.steps)
    assert gcs.objects == before

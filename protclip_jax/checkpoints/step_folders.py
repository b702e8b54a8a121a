"""Where the steps of a workdir's `checkpoints/` lie, and what makes one complete: the only place that knows of both kinds.

In a file system a step is written as `<step>.partial`, sealed with the hashes of its files (`checksums.py`), and then named
`<step>`. A bucket cannot rename: there a step is written under its own name, and complete where its seal exists, which is
written last.
"""

import pathlib
import shutil
from collections.abc import Callable

from etils import epath

from data_pipelines.common.json_object import parse_object, read_json
from protclip_jax.checkpoints import checksums
from protclip_jax.checkpoints.bucket import BucketFolder

METRICS = "metrics.json"


class LocalSteps:
    """Steps in a folder of a file system."""

    def __init__(self, folder: pathlib.Path):
        self._folder = folder.absolute()

    def __str__(self) -> str:
        return str(self._folder)

    def path(self, step: int) -> pathlib.Path:
        """The folder of a complete step."""
        return self._folder / str(step)

    def unfinished(self, step: int) -> pathlib.Path:
        """The folder into which a step is to be written."""
        return self._folder / f"{step}.partial"

    def numbers(self) -> list[int]:
        """The steps that were once complete, ascending."""
        return sorted(int(path.name) for path in self._folder.glob("*") if path.name.isdecimal())

    def publish(self, step: int, metrics: str) -> None:
        """Makes an unfinished step, to which all its arrays are written, complete."""
        partial = self.unfinished(step)
        (partial / METRICS).write_text(metrics)
        checksums.write(partial)
        partial.rename(self.path(step))

    def read_metrics(self, step: int) -> dict:
        """The JSON object that `publish` was given. Raises `UserError` for something else."""
        return read_json(self.path(step) / METRICS)

    def find_damage(self, step: int, *, under: str = "") -> str | None:
        """As `seal.find_damage`."""
        return checksums.find_damage(self.path(step), under=under)

    def set_aside(self, step: int) -> pathlib.Path:
        """Gives a damaged step another name, under which it counts no more and is kept."""
        path = self.path(step)
        aside, count = path.with_suffix(".damaged"), 1
        while aside.exists():
            count += 1
            aside = path.with_suffix(f".damaged-{count}")
        return path.rename(aside)

    def remove(self, step: int) -> None:
        """Removes a step; a removal that is cut off leaves none that lacks files."""
        shutil.rmtree(self.path(step).rename(self.unfinished(step)), ignore_errors=True)

    def remove_unfinished(self) -> None:
        """Removes what was cut off."""
        for leftover in self._folder.glob("*.partial*"):
            shutil.rmtree(leftover, ignore_errors=True)


class BucketSteps:
    """Steps in a bucket; `check_owner` is called before anything is changed, and raises where another process took over."""

    def __init__(self, folder: BucketFolder, check_owner: Callable[[], None]):
        self._folder, self._check_owner = folder, check_owner

    def __str__(self) -> str:
        return str(self._folder)

    def path(self, step: int) -> epath.Path:
        """The folder of a complete step."""
        return epath.Path(f"{self._folder}/{step}")

    def unfinished(self, step: int) -> epath.Path:
        """The folder into which a step is to be written, on all hosts."""
        self._check_owner()
        return self.path(step)

    def numbers(self) -> list[int]:
        """The steps that were once complete, ascending."""
        return sorted(complete_steps(self._folder.sizes()))

    def publish(self, step: int, metrics: str) -> None:
        """Makes an unfinished step, to which all its arrays are written, complete; it is read once for its seal."""
        folder = self._folder / step
        self._check_owner()
        folder.write(METRICS, metrics.encode())
        content = checksums.text(folder.digests(_sealed(folder)))
        self._check_owner()
        folder.write(checksums.CHECKSUMS, content.encode())

    def read_metrics(self, step: int) -> dict:
        """The JSON object that `publish` was given. Raises `UserError` for something else."""
        return parse_object((self._folder / step).read(METRICS) or b"", name=f"{self._folder}/{step}/{METRICS}")

    def find_damage(self, step: int, *, under: str = "") -> str | None:
        """As `seal.find_damage`."""
        folder = self._folder / step
        try:
            sealed = checksums.parse((folder.read(checksums.CHECKSUMS) or b"").decode(), under=under)
        except ValueError:
            return f"{checksums.CHECKSUMS} is damaged"
        names = [name for name in _sealed(folder) if name.startswith(under)]
        return checksums.missing_or_unknown(sealed, names, under=under) or checksums.difference(
            sealed, folder.digests(names).get
        )

    def set_aside(self, step: int) -> BucketFolder:
        """Gives a damaged step another name, under which it counts no more and is kept."""
        self._check_owner()
        taken = {name.partition("/")[0] for name in self._folder.sizes()}
        aside, count = f"{step}.damaged", 1
        while aside in taken:
            count += 1
            aside = f"{step}.damaged-{count}"
        (self._folder / step).copy(self._folder / aside)
        self.remove(step)
        return self._folder / aside

    def remove(self, step: int) -> None:
        """Removes a step; a removal that is cut off leaves none that lacks files."""
        self._check_owner()
        folder = self._folder / step
        folder.remove([checksums.CHECKSUMS])
        folder.remove(folder.sizes())

    def remove_unfinished(self) -> None:
        """Removes what was cut off."""
        self._check_owner()
        names = self._folder.sizes()
        complete = complete_steps(names)
        cut_off = {name for name in names if (step := name.partition("/")[0]).isdecimal() and int(step) not in complete}
        self._folder.remove(cut_off)


def complete_steps(names) -> set[int]:
    """The steps that are sealed, among the names of the objects below `checkpoints/`."""
    parts = (name.split("/") for name in names)
    return {int(step) for step, *rest in parts if step.isdecimal() and rest == [checksums.CHECKSUMS]}


def _sealed(folder: BucketFolder) -> list[str]:
    """The objects that a seal lists: as in a file system, none whose own name begins with a dot."""
    return sorted(
        name for name in folder.sizes() if name != checksums.CHECKSUMS and not name.rpartition("/")[2].startswith(".")
    )

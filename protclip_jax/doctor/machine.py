"""Describes the machine: versions, devices, disk, memory, and installed extras."""

import importlib.util
import os
import platform
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data_pipelines.common import project
from protclip_jax.checkpoints import metadata

Line = tuple[str, str]
"""A name and its value."""

EXTRAS = {
    "search": (("faiss", "rich"), "search, index and serve need"),
    "serve": (("fastapi", "uvicorn"), "the web page needs"),
    "torch": (("torch",), "weights in PyTorch's own format need"),
    "gcs": (("gcsfs",), "gs:// paths need"),
}
"""Maps each extra in pyproject.toml to its packages and to what needs them."""
FEWEST_FILES = 256
"""Minimum limit of open files for training."""
_GIB = 1 << 30


def versions() -> list[Line]:
    """Versions of Python, this project and the libraries that results depend on."""
    return [
        (project.DISTRIBUTION, project.version()),
        ("Python", platform.python_version()),
        *sorted(metadata.versions().items()),
    ]


def devices() -> list[Line]:
    """The devices that JAX uses; an accelerator that it cannot use is not listed."""
    import jax

    try:
        found = jax.devices()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        return [("JAX", f"no device found ({reason}); check the driver and the installed jax")]
    kinds = sorted({device.device_kind for device in found})
    return [("JAX", f"{len(found)} × {', '.join(kinds)} ({jax.default_backend()})")]


def memory_bytes() -> int:
    """The memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def resources() -> Iterator[Line]:
    """Yields cores, memory, disk and open files."""
    yield "cores", str(len(os.sched_getaffinity(0)))
    yield "memory", f"{memory_bytes() / _GIB:.1f} GiB"
    for name, folder in (
        ("disk of this folder", Path.cwd()),
        ("temporary disk", Path(tempfile.gettempdir())),
    ):
        yield name, f"{shutil.disk_usage(folder).free / _GIB:.1f} GiB free ({folder})"
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = allowed != resource.RLIM_INFINITY and allowed < FEWEST_FILES
    yield (
        "open files",
        f"{allowed}; training needs {FEWEST_FILES}: run `ulimit -n 4096`" if low else str(allowed),
    )


def extras() -> Iterator[Line]:
    """Yields each extra: installed, or what needs it and how to install it."""
    for extra, (packages, purpose) in EXTRAS.items():
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        fix = (
            f"{', '.join(missing)} missing, which {purpose}: run `pip install -e '.[{extra}]'` in "
            "the project's folder"
        )
        yield extra, fix if missing else "installed"

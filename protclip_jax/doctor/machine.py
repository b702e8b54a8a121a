"""What a machine has: versions, devices, disk, memory, and which optional parts are installed."""

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
"""A name and what was found."""

EXTRAS = {
    "search": (("faiss", "rich"), "search, index and serve"),
    "serve": (("fastapi", "uvicorn"), "the web page"),
    "torch": (("torch",), "weights in PyTorch's own format"),
    "gcs": (("gcsfs",), "gs:// paths"),
}
"""Extra of pyproject.toml → the packages it brings, and what needs them."""
FEWEST_FILES = 256
"""Open files that training needs at least."""
_GIB = 1 << 30


def versions() -> list[Line]:
    """Of Python, this project and the libraries that numbers depend on."""
    return [
        (project.DISTRIBUTION, project.version()),
        ("Python", platform.python_version()),
        *sorted(metadata.versions().items()),
    ]


def devices() -> list[Line]:
    """What JAX computes on; an accelerator that it does not find is not in the list."""
    import jax

    try:
        found = jax.devices()
    except RuntimeError as error:
        return [
            (
                "JAX",
                f"has no device ({str(error).splitlines()[0]}); check the driver and the "
                "installed jax",
            )
        ]
    kinds = sorted({device.device_kind for device in found})
    return [("JAX", f"{len(found)} × {', '.join(kinds)} ({jax.default_backend()})")]


def resources() -> Iterator[Line]:
    """Cores, memory, disk and open files."""
    yield "cores", str(len(os.sched_getaffinity(0)))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield "memory", f"{memory / _GIB:.1f} GiB"
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
    """Each optional part: installed, or what it is for and how to install it."""
    for extra, (packages, purpose) in EXTRAS.items():
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        fix = (
            f"{', '.join(missing)} missing, which {purpose} needs: `pip install -e '.[{extra}]'` "
            "in the project's folder"
        )
        yield extra, fix if missing else "installed"

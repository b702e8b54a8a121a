"""`python -m tests.support.killed_build STEP ARGUMENT…`: builds a dataset in small parts; killed
at the end of a step."""

import functools
import importlib
import os
import signal
import sys

from data_pipelines.build import __main__ as build
from data_pipelines.build import reading, work_folder

# Global, as worker processes are handed `killed` by its name.
original = None


def killed(*args, **options):
    """In the place of a step, does it and kills the process."""
    original(*args, **options)
    os.kill(os.getpid(), signal.SIGKILL)


def main(step, *arguments):
    """`step` is a function or method of a module that the build imports, such as
    `local.parse_batch`."""
    global original
    module, *owners, name = step.split(".")
    package = "data_pipelines.protanno" if module == "dataset" else "data_pipelines.build"
    owner = functools.reduce(getattr, owners, importlib.import_module(f"{package}.{module}"))
    original = getattr(owner, name)
    setattr(owner, name, killed)
    reading.BATCH_BYTES = work_folder.RANGE_BYTES = 20_000
    build.main(list(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])

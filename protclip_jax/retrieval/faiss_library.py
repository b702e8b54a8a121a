"""FAISS, which only search needs: everything else works without it."""

import os
import types

from data_pipelines.errors import UserError


def load_faiss(*, tasks: int | None = None) -> types.ModuleType:
    """The module `faiss`, set to as many threads as there are tasks, at most one a core; for None one a core.

    A single query is searched on one thread anyway, and waking the others costs more than the search.

    Raises:
      UserError: it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise UserError(f"search needs FAISS ({error}); install it with `pip install 'protclip-jax[search]'`.") from error
    cores = len(os.sched_getaffinity(0))
    faiss.omp_set_num_threads(cores if tasks is None else max(1, min(tasks, cores)))
    return faiss

"""FAISS, which only search needs: everything else works without it."""

import os
import types

from data_pipelines.common.errors import UserError

FEW_QUERIES = 20
"""Below, waking other threads, which JAX's keep busy, costs more than the search; FAISS itself goes over to BLAS there."""


def load_faiss(*, queries: int = FEW_QUERIES) -> types.ModuleType:
    """The module `faiss`, set to one thread for fewer than `FEW_QUERIES`, else to one a core.

    Raises:
      UserError: it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise UserError(f"search needs FAISS ({error}); install it with `pip install 'protclip-jax[search]'`.") from error
    faiss.omp_set_num_threads(1 if queries < FEW_QUERIES else len(os.sched_getaffinity(0)))
    return faiss

"""FAISS, which only search needs: everything else works without it."""

import os
import types

from data_pipelines.common.extras import missing_extra

FEW_QUERIES = 20
"""Below, waking other threads, which JAX's keep busy, costs more than the search; FAISS itself
goes over to BLAS there."""


def load_faiss(*, queries: int = FEW_QUERIES) -> types.ModuleType:
    """The module `faiss`, set to one thread for fewer than `FEW_QUERIES`, else to one a core.

    Raises:
      UserError: it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise missing_extra("search needs FAISS", "search", error) from error
    faiss.omp_set_num_threads(1 if queries < FEW_QUERIES else len(os.sched_getaffinity(0)))
    return faiss

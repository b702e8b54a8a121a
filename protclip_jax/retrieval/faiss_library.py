"""Loads FAISS, an optional dependency that only search needs."""

import os
import types

from data_pipelines.common.extras import missing_extra

FEW_QUERIES = 20
"""Fewer queries use one thread: with JAX's threads busy, waking others costs more than the search.

FAISS itself switches to BLAS at this number.
"""


def load_faiss(*, queries: int = FEW_QUERIES) -> types.ModuleType:
    """Imports `faiss`; sets one thread for fewer than `FEW_QUERIES` queries, else one per core.

    Raises:
      UserError: FAISS is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise missing_extra("search needs FAISS", "search", error) from error
    faiss.omp_set_num_threads(1 if queries < FEW_QUERIES else len(os.sched_getaffinity(0)))
    return faiss

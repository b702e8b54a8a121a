"""FAISS, which only search needs: everything else works without it."""

import types

from data_pipelines.errors import UserError


def load_faiss() -> types.ModuleType:
    """The module `faiss`.

    Raises:
      UserError: it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise UserError(f"search needs FAISS ({error}); install it with `pip install 'protclip-jax[search]'`.") from error
    return faiss

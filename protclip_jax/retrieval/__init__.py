"""Search: indexes of embeddings on disk, and the engine that answers queries from them."""

from protclip_jax.retrieval.answer import Answer, Hit
from protclip_jax.retrieval.engine import SearchEngine

__all__ = ["Answer", "Hit", "SearchEngine"]

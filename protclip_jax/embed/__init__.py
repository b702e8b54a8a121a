"""Embeddings of a whole file, in parts that a stopped run leaves for the next."""

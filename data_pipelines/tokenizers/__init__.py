"""Tokenizers of proteins and texts."""

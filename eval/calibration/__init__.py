"""Measures on held-out records how often the hits of a search agree with their questions."""

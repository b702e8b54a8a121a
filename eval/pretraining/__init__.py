"""Measures on a built dataset: retrieval, recovery of masked segments, places of PDA weights."""

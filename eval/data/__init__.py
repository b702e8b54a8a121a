"""Benchmark data: importers for each source format, one common form, and the folder's manifest."""

"""Benchmarks' data: one importer per source format, one form for all of them, and the manifest
of a data folder."""

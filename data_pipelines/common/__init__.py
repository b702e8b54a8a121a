"""Shared helpers: user errors, atomic output files, progress display, JSON, Markdown."""

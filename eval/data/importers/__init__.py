"""Importers, one file per source format."""

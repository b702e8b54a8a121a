"""The index command."""

"""Protocols that learn a protein-level task on a model: frozen probe, fine-tuning, ridge."""

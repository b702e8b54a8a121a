"""Evaluation of ProtCLIP checkpoints: `python -m eval`, and the hooks of the training loop."""

"""Compiling the training step for hardware that is not there."""

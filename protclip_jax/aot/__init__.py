"""Compiles the training step ahead of time, for hardware that is not attached."""

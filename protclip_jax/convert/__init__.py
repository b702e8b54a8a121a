"""Converts published weights to checkpoints, and checkpoints to other programs' folders."""

"""Workdirs and checkpoints, in folders and buckets: written, checked, resumed, read."""

"""Conversion of weights: published ones into checkpoints, checkpoints into folders for other
programs."""

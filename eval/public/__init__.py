"""Public benchmarks on a checkpoint: which are asked, by which protocol and configs, and their results on disk."""

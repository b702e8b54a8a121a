"""Public benchmarks on a checkpoint: protocols, configs, and results on disk."""

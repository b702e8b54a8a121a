"""The training step, and its state, optimiser, metrics, faults, preemption and profiler."""

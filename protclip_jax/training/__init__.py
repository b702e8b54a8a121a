"""The training step and what surrounds it: state, optimiser, metrics, faults, preemption,
profiler."""

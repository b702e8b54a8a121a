"""The training step and what it needs: state, optimiser, metrics, faults, preemption, profiler."""

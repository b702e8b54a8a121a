"""What a small model trained in hours on two cores learns from real proteins, by endpoints
written down beforehand."""

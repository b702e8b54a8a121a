"""Evaluates a small model of real proteins, trained on two cores, by endpoints fixed in advance."""

"""Evaluates the demo's recipes by endpoints and margins fixed before the first look at a test."""

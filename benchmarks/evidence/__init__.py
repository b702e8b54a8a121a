"""What the demo's recipes are worth, by endpoints and bars that were written down before the
first look at a test."""

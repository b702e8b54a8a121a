"""The common form into which every benchmark is read."""

"""Simple models of proteins and texts that a network has to beat."""

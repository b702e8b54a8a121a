"""Residue weights of one protein for its properties, as a figure and a table."""

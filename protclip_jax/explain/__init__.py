"""The weights of the residues of one protein for its properties, as a figure and a table."""

"""A whole proteome: the nearest described proteins and labels of each protein, with how sure
they are."""

"""Annotates a proteome with the nearest described proteins and labels, and their confidence."""

"""Proteins and texts to token ids."""

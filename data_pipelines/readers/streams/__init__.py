"""Cuts files of any size into entries and lines, in bounded memory."""

"""From UniProt to a searchable, calibrated index."""

"""Sets up a searchable, calibrated index from UniProt."""

"""The ProtAnno dataset: its records, its clusters of source, confidence and coverage, its files."""

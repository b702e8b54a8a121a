"""The dataset: its record, its clusters of source, confidence and coverage, and how it lies on
disk."""

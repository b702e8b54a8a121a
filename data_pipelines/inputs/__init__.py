"""User inputs of commands: proteins, texts, records and labels, checked before any computation."""

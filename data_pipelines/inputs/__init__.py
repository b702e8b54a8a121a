"""What users hand to commands: proteins, texts, records and labels from files, checked before
anything is computed."""

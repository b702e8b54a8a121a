"""Source formats, one per file: UniProt's own, and tables and JSON lines with the same content."""

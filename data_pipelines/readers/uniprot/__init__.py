"""UniProt's formats, and the tables and JSON lines that stand in for them: one file a format."""

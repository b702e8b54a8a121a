"""Source formats, one file each: UniProt's, and tables and JSON lines that stand in for them."""

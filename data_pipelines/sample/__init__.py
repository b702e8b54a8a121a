"""A small invented UniProt, with planted function, for demonstrations and tests."""

"""A small synthetic UniProt with planted function, for demonstrations and tests."""

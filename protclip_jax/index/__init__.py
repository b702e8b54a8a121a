"""Making the folders that search reads."""

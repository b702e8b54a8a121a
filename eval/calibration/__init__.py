"""How often hits of a search agree with their questions, measured on held-out records."""

"""What the paper's abstract claims, and whether it can be checked with what is at hand."""

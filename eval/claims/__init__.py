"""The claims of the paper's abstract, and whether they can be checked."""

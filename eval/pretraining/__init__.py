"""What is measured on a built dataset: retrieval, recovery of masked segments, where property
weights lie."""

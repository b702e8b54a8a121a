"""From UniProt files to packed rows: readers, the ProtAnno dataset, tokenizers and the training
pipeline; no JAX."""

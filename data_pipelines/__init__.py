"""UniProt files to packed training rows: readers, the ProtAnno dataset, tokenizers; no JAX."""

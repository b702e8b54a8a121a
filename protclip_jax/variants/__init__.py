"""`python -m protclip_jax.variants`: effects of substitutions, as a table and a heat map."""

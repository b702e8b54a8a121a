"""`python -m protclip_jax.variants`: scores substitutions, as a table and a heat map."""

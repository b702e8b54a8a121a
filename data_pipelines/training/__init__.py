"""Records to packed training rows: sampling, masking, packing and the input pipeline."""

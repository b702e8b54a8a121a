"""From records to packed rows: sampling, masking, packing, and the pipeline that feeds the
training loop."""

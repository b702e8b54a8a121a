"""The public benchmarks: one file or folder a family, and the suite that runs them."""

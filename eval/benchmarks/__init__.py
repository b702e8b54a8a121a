"""The families of public benchmarks, one file or folder each."""

"""What families of public benchmarks share."""

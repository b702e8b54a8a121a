"""Base classes of the benchmark families."""

"""In the place of PyTorch, which training does without, so that nothing that could use it waits
for its import."""

raise ImportError("PyTorch is no requirement of training")

"""What a sequence is described by: a model's embeddings, kept on disk, or what the letters alone tell."""

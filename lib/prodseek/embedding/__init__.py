"""From slices to embeddings: the fitted projection, and how well it ranks."""

"""From slices to embeddings: the fitted projection, and measures of how well embeddings rank."""

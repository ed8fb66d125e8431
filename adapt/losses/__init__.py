"""Training losses on embeddings: what sentence-transformers lacks or gets wrong, and plain forms of what it gets right."""

"""Texts to embeddings and pairs to scores, in batches, cached."""

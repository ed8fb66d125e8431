"""Search: BM25, dense and fused retrieval, candidates, and the exclusion of false negatives."""

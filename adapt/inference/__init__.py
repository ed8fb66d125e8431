"""Inference: batching, token budgets, parallel batches on a CPU, embedding and scoring, and the embedding cache."""

"""Neighbours: lexical and dense top-k, fused rankings, and the filters against false negatives."""

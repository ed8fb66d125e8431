"""What makes every stage fast: batches, cores, the training loop, encoding and labelling."""

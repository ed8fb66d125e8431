"""Training examples as losses see them, and which of them an epoch takes from each source."""

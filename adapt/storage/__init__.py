"""What is on disk: written whole or not at all, with a digest by which damage is noticed, and faults of the disk in words."""

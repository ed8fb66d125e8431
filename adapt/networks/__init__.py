"""Networks in memory: opened from folders and saved to them, with low-rank adapters, blended, or in int8."""

"""Models on disk and in memory: finding, opening, checking, saving; attention, pooling, precision, adapters."""

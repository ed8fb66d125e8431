"""Where torch lives: devices and precision, encoders and cross-encoders on disk, batches, training, encoding."""

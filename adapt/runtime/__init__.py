"""What the process runs on: device, precision, processes, signals."""

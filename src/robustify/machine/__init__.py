"""What the work runs on: device and precision, memory, and signals to stop."""

"""Files that are whole, written by one process at a time, and known by name for what they lack."""

"""Where raw data comes from, and proof that it is the real thing."""

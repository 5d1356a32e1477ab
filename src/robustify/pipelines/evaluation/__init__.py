"""What one net's training bought."""

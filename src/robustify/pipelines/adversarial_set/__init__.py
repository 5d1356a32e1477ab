"""The stored adversarial set: successful single-step examples against the baseline."""

"""What a net's robustness is really worth."""

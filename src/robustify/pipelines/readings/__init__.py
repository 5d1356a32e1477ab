"""The three readings of Eq. 11 side by side: unclipped, literal, box-aware."""

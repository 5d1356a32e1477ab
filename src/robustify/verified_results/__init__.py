"""What the stored full verifications measured, gathered into one file."""

from robustify.verified_results.entries import RESULTS, key_of, stored_entries
from robustify.verified_results.gathering import gather

__all__ = ["RESULTS", "gather", "key_of", "stored_entries"]

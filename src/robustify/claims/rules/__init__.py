"""One rule a claim: what each net must show, and what that makes of the claim.

Every rule reads the stored summary and details (see :mod:`robustify.across_seeds`) and nothing else.
"""

from robustify.claims.rules import (
    best_norm,
    clean_accuracy,
    cost,
    new_attacks,
    single_pixel,
    stored_set,
    transfer,
)
from robustify.claims.rules.base import Claim, Finding, robust_nets, verdict_of

CLAIMS = (
    clean_accuracy.CLAIM,
    stored_set.CLAIM,
    new_attacks.CLAIM,
    cost.CLAIM,
    single_pixel.CLAIM,
    transfer.CLAIM,
    best_norm.CLAIM,
)

__all__ = ["CLAIMS", "Claim", "Finding", "robust_nets", "verdict_of"]

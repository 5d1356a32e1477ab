"""One experiment with several seeds: what its nets do on average, and whether a lead is more than chance."""

from robustify.across_seeds.details import BEST
from robustify.across_seeds.gathering import gather, is_complete
from robustify.across_seeds.summary import summarise

__all__ = ["BEST", "gather", "is_complete", "summarise"]

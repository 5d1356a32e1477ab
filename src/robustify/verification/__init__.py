"""What a net's robustness is really worth: strong attacks, and gates that say whether to believe them."""

from robustify.verification.examination import examine
from robustify.verification.plan import Plan, make_plan
from robustify.verification.survival import Survival, survive
from robustify.verification.verify import verify

__all__ = ["Plan", "Survival", "examine", "make_plan", "survive", "verify"]

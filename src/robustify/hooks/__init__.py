"""What happens around a Kedro run: checks, locks, tracking, and a clean end however it ends."""

from robustify.hooks.adversarial_sets import AdversarialSets
from robustify.hooks.checked_parameters import CheckedParameters
from robustify.hooks.clean_termination import CleanTermination
from robustify.hooks.exclusive_data import ExclusiveData
from robustify.hooks.known_tags import KnownTags
from robustify.hooks.memory import Memory
from robustify.hooks.net_runs import NetRuns
from robustify.hooks.summary import Summary
from robustify.hooks.supported_runner import SupportedRunner
from robustify.hooks.tolerant_tracking import TolerantTracking

__all__ = [
    "AdversarialSets",
    "CheckedParameters",
    "CleanTermination",
    "ExclusiveData",
    "KnownTags",
    "Memory",
    "NetRuns",
    "Summary",
    "SupportedRunner",
    "TolerantTracking",
]

"""Robustify: image classifiers trained against their own worst case, and honest measurement of what it bought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustify.storage import load_net

__version__ = "0.1.0"
__all__ = ["__version__", "load_net"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import; commands that only list pipelines shouldn't wait for it
    if name == "load_net":
        from robustify.storage import load_net

        return load_net
    raise AttributeError(f"module 'robustify' has no attribute {name!r}")

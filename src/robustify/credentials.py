"""Addresses without what they keep secret, for messages and files."""

from __future__ import annotations

import re

_USER = re.compile(r"(?<=://)[^/@\s]*@")
_OPTION = re.compile(r"(?i)((?:password|passwd|pwd|secret|token|key)=)[^&\s]*")


def without_credentials(text: str) -> str:
    """Return a text without the user and password of any address in it, nor those among its options."""
    return _OPTION.sub(r"\1...", _USER.sub("", text))

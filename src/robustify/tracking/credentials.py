"""Addresses without what they keep secret, for messages and files."""

from __future__ import annotations

import re

# a password may hold any of the characters that end it elsewhere
_USER = re.compile(r"(?<=://).*@")
_OPTION = re.compile(
    r"(?i)([?&;](?:[\w-]*(?:pass|pwd|secret|token|credential|auth)[\w-]*|(?:[\w-]*[_-])?key)=)[^&;\s]*"
)


def without_credentials(text: str) -> str:
    """Return a line without the user and password of any address in it, nor those among its options."""
    return _OPTION.sub(r"\1...", _USER.sub("", text))

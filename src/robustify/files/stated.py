"""What a stored file says, and by whose name it is asked for when it doesn't."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robustify.errors import InputError


class Stated(dict[str, Any]):
    """A JSON object that knows its file: what it should say and doesn't is told by the file's name.

    Args:
        content: the object.
        path: of the file that holds it.
    """

    def __init__(self, content: Mapping[str, Any], path: Path) -> None:
        super().__init__(content)
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise InputError(
            f"{self._path} doesn't say {key!r}: it was made by another version of Robustify, or changed since; remove it and make it again"
        )

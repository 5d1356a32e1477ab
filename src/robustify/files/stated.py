"""What a stored file says, and by whose name it is asked for when it doesn't."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robustify.errors import InputError


class Stated(dict[str, Any]):
    """A JSON object that knows its file, as do the objects in it: what one should say and doesn't is told by the file's name.

    Args:
        content: the object.
        path: of the file that holds it.
    """

    def __init__(self, content: Mapping[str, Any], path: Path) -> None:
        super().__init__({key: _knowing(value, path) for key, value in content.items()})
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise InputError(
            f"{self._path} doesn't say {key!r}: it was made by another version of Robustify, or changed since; remove it and make it again"
        )


def _knowing(value: Any, path: Path) -> Any:
    if isinstance(value, Mapping):
        return Stated(value, path)
    if isinstance(value, list):
        return [_knowing(each, path) for each in value]
    return value


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, its objects as :class:`Stated`.

    Raises:
        InputError: if it can't be read; names it.
    """
    try:
        return _knowing(json.loads(path.read_text()), path)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} isn't readable JSON: {error}") from error

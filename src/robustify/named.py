"""What a name in the configuration stands for, made with the options beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from robustify.errors import InputError, shown

Made = TypeVar("Made")


def make_named(
    kind: str,
    known: Mapping[str, Callable[..., Made]],
    name: str,
    options: Mapping[str, Any],
    **given: Any,
) -> Made:
    """Return what stands under that name, made with the options.

    Args:
        kind: what it is, for messages.
        known: all that there are, by name.
        name: one of them.
        options: of the user's choice.
        given: further arguments, which aren't.

    Raises:
        InputError: for an unknown name, which lists the known ones, or an option that there isn't.
    """
    if not isinstance(name, str) or name not in known:
        raise InputError(f"{kind} {shown(name)} is unknown; known: {', '.join(known)}")
    try:
        return known[name](**given, **options)
    except TypeError as error:
        raise InputError(f"{kind} {name!r} with options {dict(options)}: {error}") from error

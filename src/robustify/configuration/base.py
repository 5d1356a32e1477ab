"""What every part of the parameters is: keys that are known, of types that are exact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

# of whole numbers: more images, steps or units than anyone has
LARGEST = 2**31


def _kept(entries: Any) -> Any:
    # null drops what one configuration inherits from another
    if not isinstance(entries, Mapping):
        return entries
    return {name: entry for name, entry in entries.items() if entry is not None}


WithoutDropped = BeforeValidator(_kept)


class Strict(BaseModel):
    """Keys that nothing reads, and values of another type, are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Named(BaseModel):
    """A part chosen by name; its other keys are options of that part."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

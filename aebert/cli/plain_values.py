"""What a command found out, as values that JSON has."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from pathlib import PurePath
from typing import SupportsFloat, SupportsIndex, TypeAlias

PlainValue: TypeAlias = "bool | int | float | str | list[PlainValue] | dict[str, PlainValue] | None"


def plain_value(value: object) -> PlainValue:
    """``value`` as JSON has it: paths become text, dataclasses and mappings objects, and NaN and infinity null.

    Numbers of NumPy and PyTorch become Python's. Raises TypeError for what is no data, so that no ``repr`` of an
    object ends up in a script's input.
    """
    match value:
        case Enum():  # before text and numbers: some enums are both
            return plain_value(value.value)
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case PurePath():
            return str(value)
        case Mapping():
            return {str(plain_value(key)): plain_value(item) for key, item in value.items()}
        case Sequence() | Set():
            return [plain_value(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_value(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, SupportsIndex):
        return value.__index__()
    if isinstance(value, SupportsFloat):
        return plain_value(float(value))
    raise TypeError(f"{type(value).__name__} has no JSON form")

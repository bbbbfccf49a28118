"""A process of the kernel: one function, and what is known about all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codegen.schedule.frontend.addresses import Location
from codegen.schedule.frontend.arrays import Array, RegisterLayout
from codegen.schedule.frontend.ir import IrFunction, SourceLine
from codegen.schedule.frontend.ranges import Range


@dataclass(frozen=True)
class Process:
    """A function of the kernel, and what is known about all of it."""

    name: str
    function: IrFunction
    arrays: Mapping[str, Array]
    layouts: Mapping[str, RegisterLayout]
    locations: Mapping[str, Location]
    lines: Mapping[int, SourceLine]
    ranges: Mapping[str, Range]
    demanded: Mapping[str, int]

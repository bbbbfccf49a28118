"""Flip-flops of a kernel whose loops were scheduled: what crosses their stages, not the closed form's count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from aebert.design.kernel_resources import KernelResources
from aebert.design.kernel_streams import ENGINE_PROCESSES
from aebert.design.operator_areas import operator_areas
from aebert.design.operator_resources import ResourceCount
from aebert.design.unit_resources import CONTROL, UNIT_OF_PROCESS

# Unit -> parts of the count that make it up. Of control and ports the closed form has no loops.
_PARTS: Mapping[str, tuple[str, ...]] = {
    "fetch_tiles": ("fetch_tiles",),
    "engine": ("engine_array", "engine_fetch"),
    "requantise": ("requantise",),
    "softmax": ("softmax",),
    "layer_norm": ("layer_norm",),
}


def unit_registers(register_bits: Mapping[str, int], engines: int) -> dict[str, int]:
    """Flip-flops of each unit that has loops in ``register_bits`` ("process.Label" -> flip-flops of one instance);
    those of an engine's processes are there for each of the ``engines``."""
    needed: dict[str, int] = {}
    for loop, bits in register_bits.items():
        process = loop.partition(".")[0]
        unit = UNIT_OF_PROCESS.get(process, CONTROL)
        if unit in _PARTS:
            needed[unit] = needed.get(unit, 0) + bits * (engines if process in ENGINE_PROCESSES else 1)
    return needed


def with_scheduled_registers(
    resources: KernelResources, register_bits: Mapping[str, int], engines: int
) -> KernelResources:
    """``register_bits``: as `unit_registers` takes them, as csynth would count them.

    A unit of which no loop is given stays as it is.
    """
    needed = unit_registers(register_bits, engines)
    changed = {
        name: part
        for unit, bits in needed.items()
        for name, part in _with_registers({name: getattr(resources, name) for name in _PARTS[unit]}, bits).items()
    }
    return replace(resources, **changed)


def _with_registers(parts: Mapping[str, ResourceCount], bits: int) -> dict[str, ResourceCount]:
    """Dealt out to the parts of a unit as the closed form has them."""
    counted = sum(float(np.max(part.registers)) for part in parts.values())
    factor = operator_areas().placed_ff.middle * bits / counted if counted else 1.0
    return {
        name: replace(part, ff=part.ff + (factor - 1) * part.registers, registers=factor * part.registers)
        for name, part in parts.items()
    }

"""The closed form's resources by unit of the kernel, as counts by process can be compared with them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aebert.design.board_fit import Usage
from aebert.design.buffers import PRIMITIVES
from aebert.design.operator_resources import ResourceCount, total

# Process -> unit; what is not here (FIFOs, AXI ports, the processes that read, write and count) bears a unit's name.
UNIT_OF_PROCESS: Mapping[str, str] = {
    "engine": "engine",
    "requantise": "requantise",
    "row_maximum": "softmax",
    "exponentials": "softmax",
    "reciprocals": "softmax",
    "layer_norm": "layer_norm",
    "fifos": "fifos",
    "axi_ports": "axi_ports",
}
CONTROL = "control"
_UNIT_OF_BUFFER = {
    "operands": "engine", "keys": "engine", "values": "engine", "residual": "layer_norm", "scores": "fifos",
}  # fmt: skip


def unit_resources(usage: Usage) -> dict[str, ResourceCount]:
    """One compute unit of each design, on-chip buffers with the unit that holds them [designs]."""
    parts = usage.resources
    found = {
        "engine": total(parts.engine_array, parts.engine_fetch),
        "requantise": parts.requantise,
        "softmax": parts.softmax,
        "layer_norm": parts.layer_norm,
        "fifos": parts.fifos,
        "axi_ports": parts.axi_ports,
        CONTROL: parts.control,
    }
    for name, unit in _UNIT_OF_BUFFER.items():
        found[unit] = total(found[unit], _buffer(usage, name))
    return found


def _buffer(usage: Usage, name: str) -> ResourceCount:
    bound = usage.buffers
    (number,) = (number for number, buffer in enumerate(bound.buffers) if buffer.name == name)
    buffer, chosen = bound.buffers[number], bound.choice[number]
    counts = dict(zip(PRIMITIVES, (buffer.lutram_luts, buffer.bram36, buffer.uram), strict=True))
    lut, bram36, uram = (
        np.where(chosen == PRIMITIVES.index(primitive), count, 0).astype(np.float64)
        for primitive, count in counts.items()
    )
    nothing = np.zeros_like(lut)
    return ResourceCount(lut=lut, ff=nothing, dsp=nothing, bram36=bram36, uram=uram)

"""The closed form's resources by unit of the kernel, as counts by process can be compared with them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aebert.design.board_fit import Usage
from aebert.design.operator_resources import ResourceCount, total

# Process -> unit; what is not here (FIFOs, AXI ports, the processes that read, write and count) bears a unit's name.
UNIT_OF_PROCESS: Mapping[str, str] = {
    "fetch_tiles": "fetch_tiles",
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
    "operands": "engine", "keys": "fetch_tiles", "values": "fetch_tiles", "residual": "layer_norm", "scores": "fifos",
}  # fmt: skip


def unit_resources(usage: Usage) -> dict[str, ResourceCount]:
    """One compute unit of each design, on-chip buffers with the unit that holds them [designs]."""
    parts = usage.resources
    found = {
        "fetch_tiles": parts.fetch_tiles,
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
    lut, bram36, uram = usage.buffers.of((name,))
    nothing = np.zeros_like(lut)
    return ResourceCount(lut=lut, ff=nothing, dsp=nothing, bram36=bram36, uram=uram)

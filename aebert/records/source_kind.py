"""Where a latency, or a count of resources, comes from. None is ever given without it.

Timed emulation, HLS estimate, RTL co-simulation by HLS, RTL simulation by others, hardware emulation, real hardware (a
run, or the placed and routed netlist), somebody's paper or table; RTL of our own in the synthesiser Yosys (resources).
"""

from __future__ import annotations

from typing import Literal

SourceKind = Literal["emulated", "csynth", "cosim", "rtl_sim", "hw_emu", "hw", "published", "yosys"]

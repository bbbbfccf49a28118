"""The simulated RTL as a device: the same host code drives its registers and buffers, cycle by cycle."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aebert.records.source_kind import SourceKind
from aebert.timing.loop_schedules import LoopLatency
from aebert.timing.memory_ports import PortTiming
from host.emulated.board_process import LibraryCall
from host.emulated.emulator import LibraryDevice


@dataclass(frozen=True)
class RtlRun:
    """``cycles`` from the first request to the last movement; ``asked``: when each process began to wait for each pass,
    or took it at once. The first ones may be asked for before the first request: less than 0."""

    cycles: int
    asked: Mapping[str, tuple[int, ...]]


class RtlDevice(LibraryDevice):
    """``library`` comes from `codegen.toolchains.rtl.build_simulation`.

    ``ports``: the memory's timing, port by port; one that is not named moves a word a cycle after 64 cycles.
    ``schedules``: of the loops, as the RTL has them. ``stall_percent``: of the cycles in which the memory does
    not answer, at random (``seed``).
    """

    name = "rtl"
    source: SourceKind = "rtl_sim"
    basis = "RTL that aebert's own scheduler made, not Vitis HLS, simulated by Verilator"

    def __init__(
        self,
        library: Path,
        ports: Mapping[str, PortTiming] | None = None,
        schedules: Iterable[LoopLatency] = (),
        *,
        stall_percent: int = 0,
        seed: int = 1,
    ) -> None:
        super().__init__(library)
        self.schedules = tuple(schedules)
        calls = [
            LibraryCall("aebert_rtl_port", (name, float(port.words_per_cycle), port.latency, port.gap))
            for name, port in (ports or {}).items()
        ]
        self.call((*calls, LibraryCall("aebert_rtl_stalls", (stall_percent, seed))))

    def result(self) -> RtlRun:
        """Of the last launch that ended well."""
        found = json.loads(self.timing())
        asked = {name: tuple(cycles) for name, cycles in found["asked"].items()}
        return RtlRun(found["cycles"], asked)

    def counted_cycles(self) -> int:
        return self.result().cycles

"""The closed-form cycle count beside timed emulation of the same launch, on a design that is compiled once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aebert.design.bandwidth import MemoryRates, memory_rates
from aebert.design.board import Board
from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_streams import PORTS
from aebert.design.launch_cycles import count_cycles
from aebert.design.size_arrays import Sizes
from aebert.design.workload import Workload, subnet_tiles
from aebert.numerics.quantised import QuantisedEncoder
from aebert.timing.loop_schedules import estimated_schedules
from aebert.timing.memory_ports import PortTiming, port_timings
from codegen.memory_image import build_memory_image
from codegen.placement import place_compute_units, port_traffic
from codegen.project_sources import read_sources
from codegen.toolchains.timed import source_pragmas
from host.devices.accelerator import Accelerator
from host.emulated.timed_emulator import TimedEmulatorDevice
from tests.support.emulated import write_kernel
from tests.support.random_quantised import random_residual


def predicted_cycles(
    config: HardwareConfig, quantised: QuantisedEncoder, lengths: tuple[int, ...], memory: MemoryRates | None = None
) -> float:
    """In closed form, from the encoder's own tiles; memory at full rate where none is given."""
    tiles = subnet_tiles(quantised)
    return float(count_cycles(Sizes.of(config), Workload(quantised.shape, tiles, lengths), memory=memory).total[0])


def board_memory(config: HardwareConfig, board: Board) -> MemoryRates:
    """What the closed form takes ``board`` to give one compute unit at the board's clock."""
    return memory_rates(Sizes.of(config), board, np.array([board.clock_mhz]), np.ones(1, np.int64))


@dataclass(frozen=True)
class TimedKernel:
    """The kernel of ``config`` in ``directory``; loop depths from the operator table, as in the closed form."""

    directory: Path
    config: HardwareConfig

    @classmethod
    def write(cls, directory: Path, config: HardwareConfig, board_name: str = "u200") -> TimedKernel:
        write_kernel(config, directory, board_name)
        return cls(directory, config)

    def cycles(self, quantised: QuantisedEncoder, lengths: tuple[int, ...], board: Board | None = None) -> int:
        """Emulated cycles of one launch; the memory of ``board``, or one word per cycle on every port."""
        schedules = estimated_schedules(self.config, source_pragmas(read_sources(self.directory)))
        ports = self._full_rate() if board is None else self._ports_on(board)
        device = TimedEmulatorDevice(read_sources(self.directory), schedules, ports)
        with Accelerator(device, self.config, quantised, build_memory_image(quantised, self.config)) as accelerator:
            accelerator.run([random_residual(quantised.shape, length, seed=1) for length in lengths])
            return device.result().checked_cycles()

    def _full_rate(self) -> dict[str, PortTiming]:
        return {port: PortTiming(1.0, burst_words=4096 // self.config.word_bytes, gap=0) for port in PORTS}

    def _ports_on(self, board: Board) -> dict[str, PortTiming]:
        banks = dict(place_compute_units(self.config, board, 1)[0].banks)
        return port_timings(self.config, board, board.clock_mhz, banks, port_traffic(self.config))

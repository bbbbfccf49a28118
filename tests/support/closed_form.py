"""The closed-form cycle count beside timed emulation of the same launch, on a design that is compiled once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aebert.boards import Board
from aebert.design.bandwidth import MemoryRates, memory_rates
from aebert.design.config import HardwareConfig
from aebert.design.cycles import count_cycles
from aebert.design.sizes import Sizes
from aebert.design.workload import Workload, weight_tiles
from aebert.encoder import MATRIX_NAMES
from aebert.quantised import QuantisedEncoder
from aebert.timing.ports import PORTS, PortTiming, port_timings
from aebert.timing.schedules import estimated_schedules
from codegen.memory_image import build_memory_image
from codegen.placement import place_compute_units, port_traffic
from codegen.render import TOP
from codegen.toolchains.timed import project_pragmas
from host.accelerator import Accelerator
from host.timed_emulator import TimedEmulatorDevice
from tests.support.emulated import write_kernel
from tests.support.random_quantised import random_residual


def predicted_cycles(
    config: HardwareConfig, quantised: QuantisedEncoder, lengths: tuple[int, ...], memory: MemoryRates | None = None
) -> float:
    """In closed form, from the encoder's own tiles; memory at full rate where none is given."""
    tiles = weight_tiles([[layer.matrix(name).weight for name in MATRIX_NAMES] for layer in quantised.layers])
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
        schedules = estimated_schedules(self.config, project_pragmas(self.directory))
        ports = self._full_rate() if board is None else self._ports_on(board)
        device = TimedEmulatorDevice(self.directory, TOP, schedules, ports)
        with Accelerator(device, self.config, quantised, build_memory_image(quantised, self.config)) as accelerator:
            accelerator.run([random_residual(quantised.shape, length, seed=1) for length in lengths])
            return device.result().checked_cycles()

    def _full_rate(self) -> dict[str, PortTiming]:
        return {port: PortTiming(1.0, burst_words=4096 // self.config.word_bytes, gap=0) for port in PORTS}

    def _ports_on(self, board: Board) -> dict[str, PortTiming]:
        banks = dict(place_compute_units(self.config, board, 1)[0].banks)
        return port_timings(self.config, board, board.clock_mhz, banks, port_traffic(self.config))

"""A Zynq or Kria board that this process runs on: its sensors are this machine's."""

from __future__ import annotations

from pynq.ps import CPU_ARCH_IS_SUPPORTED, Clocks

from host.boards.conditions import SensorReading
from host.boards.pynq_board import PynqBoard, board_errors
from host.boards.pynq_sensors import find_sensors


class LocalPynqBoard(PynqBoard):
    """With sensors. The clock is PL clock 0, which the generated block design gives to the kernel."""

    def read_sensors(self) -> SensorReading:
        """Raises DeviceFault when a sensor cannot be read."""
        with board_errors(self.name, "reading sensors"):
            return find_sensors().read(float(Clocks.fclk0_mhz) if CPU_ARCH_IS_SUPPORTED else None)

"""A design: hardware config, board and clock. What a bitstream is built from."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from aebert.design.board import Board
from aebert.design.board_fit import check_fit
from aebert.design.buffers import BoundBuffer, bind_buffers
from aebert.design.hardware_config import HardwareConfig
from aebert.support.json_digest import json_digest


@dataclass(frozen=True)
class Design:
    """``clock_mhz`` is the target clock, ``compute_units`` how many copies of the kernel the bitstream holds."""

    config: HardwareConfig
    board: Board
    clock_mhz: float
    compute_units: int = 1

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over everything that shapes the bitstream; subnets do not."""
        config = asdict(self.config)
        if self.config.activation == "gelu":
            del config["activation"]  # designs of before there were others are the same designs
        for name, former in (("row_slices", 1), ("engines", 1), ("lut_lanes", 0)):
            if config[name] == former:
                del config[name]
        values = {
            "config": config,
            "board": self.board.name,
            "part": self.board.part,
            "clock_mhz": self.clock_mhz,
            "compute_units": self.compute_units,
        }
        return json_digest(values)

    @property
    def buffers(self) -> tuple[BoundBuffer, ...]:
        """The on-chip buffers and the primitives that hold them. Raises AebertError when the board is too small."""
        limit = check_fit(self.config, self.board, self.compute_units).placement.limit
        return bind_buffers(self.config, luts=limit.lut, bram36=limit.bram36, uram=limit.uram)

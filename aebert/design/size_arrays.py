"""The numbers of many hardware configs at once: what the resource count and the cycle count are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from aebert.design.hardware_config import PROBABILITY_SLOTS, HardwareConfig
from aebert.design.kernel_records import HEADER_COUNT_BYTES

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def ceil_divide(value: Ints | int, divisor: Ints | int) -> Ints:
    """``ceil(value / divisor)`` for integers >= 0."""
    return np.asarray(-(-np.asarray(value) // np.asarray(divisor)), np.int64)


@dataclass(frozen=True)
class Sizes:
    """Fields of `HardwareConfig` as int64 arrays [configs]; units as there.

    ``chain`` and ``dsp_port_bits`` are those of its `DspPacking`.
    """

    tokens: Ints
    out_lanes: Ints
    in_lanes: Ints
    max_hidden: Ints
    max_ffn: Ints
    max_length: Ints
    max_groups: Ints
    word_bytes: Ints
    tile_fifo: Ints
    parameter_fifo: Ints
    sums_fifo: Ints
    row_slices: Ints
    engines: Ints
    lut_lanes: Ints
    chain: Ints
    dsp_port_bits: Ints

    @classmethod
    def of(cls, config: HardwareConfig) -> Sizes:
        """The numbers of one config: arrays of one element."""
        return cls.of_all([config])

    @classmethod
    def of_all(cls, configs: Sequence[HardwareConfig]) -> Sizes:
        """The numbers of many configs, in their order."""
        packing = {
            "chain": [config.packing.chain for config in configs],
            "dsp_port_bits": [config.packing.port_bits for config in configs],
        }
        columns = (
            packing.get(field.name) or [getattr(config, field.name) for config in configs] for field in fields(cls)
        )
        return cls(*(np.array(column, np.int64) for column in columns))

    def take(self, chosen: npt.NDArray[np.bool_] | Ints) -> Sizes:
        """The configs picked by a mask or by indices along the first axis."""
        return Sizes(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def pairs(self) -> Ints:
        """Of an engine's tokens: two share a multiplication."""
        return self.engine_tokens // 2

    @property
    def engine_tokens(self) -> Ints:
        """Tokens of a group that each engine owns."""
        return self.tokens // self.engines

    @property
    def array_dsps(self) -> Ints:
        """Multiplications of the array in DSP slices, all engines together: two operands each."""
        return self.engines * self.pairs * self.out_lanes * (self.in_lanes - self.lut_lanes)

    @property
    def unit_tokens(self) -> Ints:
        """Tokens that the units behind an engine take per cycle."""
        return self.engine_tokens // self.row_slices

    @property
    def macs_per_cycle(self) -> Ints:
        return self.tokens * self.out_lanes * self.in_lanes

    @property
    def tile_bytes(self) -> Ints:
        return self.out_lanes * self.in_lanes

    @property
    def length_groups(self) -> Ints:
        return ceil_divide(self.max_length, self.tokens)

    @property
    def index_bytes(self) -> Ints:
        rows = np.maximum(self.max_hidden, self.max_ffn) // self.in_lanes
        return np.where(rows <= 256, np.int64(1), np.int64(2))

    @property
    def header_counts(self) -> Ints:
        return self.word_bytes // HEADER_COUNT_BYTES - 1

    @property
    def operand_rows(self) -> Ints:
        """Rows of one token group in the operand buffer; `operand_layout` says what they hold."""
        hidden_rows = self.max_hidden // self.in_lanes
        wide_rows = np.maximum(self.max_ffn // self.in_lanes, 2 * hidden_rows)
        rows: Ints = hidden_rows + wide_rows + PROBABILITY_SLOTS * (self.max_length // self.in_lanes)
        return rows

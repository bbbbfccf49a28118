"""The kernel's FIFOs: their sizes, and which primitive holds each.

Left to itself Vitis HLS makes a shift register of up to 1024 bits and block RAM of all that is larger, however shallow:
a FIFO of 16 rows of 64 tokens would take dozens of block RAMs. So each is bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from aebert.design.cpp_records import Numbers
from aebert.design.data_widths import WIDTH_OF
from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_streams import STREAMS, stream_depths
from aebert.design.operator_resources import LUTRAM_FIFO_DEPTH, SRL_DEPTH
from aebert.design.size_arrays import Ints, Sizes
from aebert.design.widths import widths_of_all

FifoPrimitive = Literal["srl", "lutram", "bram"]


@dataclass(frozen=True)
class Fifo:
    """``copies`` streams of ``width_bits`` x ``depth``, int64 [designs]; named as in templates/kernel/kernel.cpp.j2."""

    name: str
    width_bits: Ints
    depth: Ints
    copies: Ints


@dataclass(frozen=True)
class BoundFifo:
    name: str
    primitive: FifoPrimitive


def kernel_fifos(sizes: Sizes) -> tuple[Fifo, ...]:
    """All FIFOs but the scores' (``held_scores``), which is one of the on-chip buffers."""
    one = np.ones_like(sizes.tokens)
    extents = {
        "tokens": sizes.tokens,
        "unit_tokens": sizes.unit_tokens,
        "in_lanes": sizes.in_lanes,
        "out_lanes": sizes.out_lanes,
        "header_fields": sizes.header_counts + 1,
    }
    numbers: Numbers = WIDTH_OF | vars(widths_of_all(sizes)) | extents
    depths = stream_depths(sizes)
    return tuple(
        Fifo(
            stream.name,
            one * stream.element.width(numbers),
            depths[stream.depth],
            extents[stream.per] if stream.per else one,
        )
        for stream in STREAMS
        if not stream.buffer
    )


def bind_fifos(config: HardwareConfig) -> tuple[BoundFifo, ...]:
    """Shift registers as deep as one LUT is, LUTRAM as deep as one or two, block RAM beyond."""
    return tuple(BoundFifo(fifo.name, _primitive(int(fifo.depth[0]))) for fifo in kernel_fifos(Sizes.of(config)))


def _primitive(depth: int) -> FifoPrimitive:
    return "srl" if depth <= SRL_DEPTH else "lutram" if depth <= LUTRAM_FIFO_DEPTH else "bram"

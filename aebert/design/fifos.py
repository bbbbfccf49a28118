"""The kernel's FIFOs: their sizes, and which primitive holds each.

Left to itself Vitis HLS makes a shift register of up to 1024 bits and block RAM of all that is larger, however shallow:
a FIFO of 16 rows of 64 tokens would take dozens of block RAMs. So each is bound.
"""

from __future__ import annotations

import math
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

# Of either end: there is room or there is an element, and it is written or read.
_FLAGS = 2

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


def kernel_fifos(sizes: Sizes) -> tuple[tuple[Fifo, ...], tuple[Fifo, ...]]:
    """All FIFOs but the scores' (``held_scores``), which is one of the on-chip buffers: those that the engines share,
    and those that each of them has."""
    one = np.ones_like(sizes.tokens)
    extents = {
        "engines": sizes.engines,
        "tokens": sizes.engine_tokens,
        "unit_tokens": sizes.unit_tokens,
        "in_lanes": sizes.in_lanes,
        "out_lanes": sizes.out_lanes,
        "header_fields": sizes.header_counts + 1,
    }
    numbers: Numbers = WIDTH_OF | vars(widths_of_all(sizes)) | extents
    depths = stream_depths(sizes)
    fifos = {
        stream: Fifo(
            stream.name,
            one * stream.element.width(numbers),
            depths[stream.depth],
            one * math.prod(extents[each] for each in stream.per),
        )
        for stream in STREAMS
        if not stream.buffer
    }
    shared = tuple(fifo for stream, fifo in fifos.items() if not stream.per)
    return shared, tuple(fifo for stream, fifo in fifos.items() if stream.per)


def wires_outward(sizes: Sizes) -> Ints:
    """Wires between an engine and what all of them share, int64 [designs]: a FIFO's bits and its two flags."""
    outward = {stream.name for stream in STREAMS if stream.outward}
    _, own = kernel_fifos(sizes)
    wires: Ints = sum((fifo.width_bits + _FLAGS for fifo in own if fifo.name in outward), np.zeros_like(sizes.tokens))
    return wires


def bind_fifos(config: HardwareConfig) -> tuple[BoundFifo, ...]:
    """Shift registers as deep as one LUT is, LUTRAM as deep as one or two, block RAM beyond."""
    shared, own = kernel_fifos(Sizes.of(config))
    return tuple(BoundFifo(fifo.name, _primitive(int(fifo.depth[0]))) for fifo in (*shared, *own))


def _primitive(depth: int) -> FifoPrimitive:
    return "srl" if depth <= SRL_DEPTH else "lutram" if depth <= LUTRAM_FIFO_DEPTH else "bram"

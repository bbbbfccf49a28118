"""Bandwidth and latency of the kernel's AXI ports on a board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aebert.design.board import Board
from aebert.design.hardware_config import (
    BURST_BYTES,
    BURST_GAP_CYCLES,
    OUTSTANDING_BURSTS,
    PORT_LATENCY_CYCLES,
    SMALLEST_SHARE,
    HardwareConfig,
)
from aebert.design.kernel_streams import PORTS

# Before the first pass and after the last: nothing else is asked for then but what fills the FIFOs.
ALONE = ("embeddings", "results")


@dataclass(frozen=True)
class PortTiming:
    """In cycles of the kernel clock. ``words_per_cycle`` is at most 1; ``gap`` cycles pass between two bursts."""

    words_per_cycle: float
    latency: int = PORT_LATENCY_CYCLES
    burst_words: int = 64
    gap: int = BURST_GAP_CYCLES
    outstanding: int = OUTSTANDING_BURSTS


def port_timings(
    config: HardwareConfig, board: Board, clock_mhz: float, banks: Mapping[str, str], traffic: Mapping[str, int]
) -> dict[str, PortTiming]:
    """The timing of every port of one compute unit.

    ``banks`` maps ports to bank tags, ``traffic`` ports to the words that they move in a launch. Ports of one bank (of
    one memory, where all banks are ports to the same) that are active at the same time share its bandwidth in
    proportion to their traffic, but none gets less than `SMALLEST_SHARE`.
    """
    memory = board.memory
    bandwidth = {bank.tag: bank.bandwidth_gb_s for bank in memory.banks}
    timings = {}
    for port in PORTS:
        rivals = [
            other
            for other in PORTS
            if other == port
            or (port not in ALONE and other not in ALONE and (memory.shared or banks[other] == banks[port]))
        ]
        moved = sum(traffic[other] for other in rivals)
        share = 1.0 if len(rivals) == 1 else max(SMALLEST_SHARE, traffic[port] / moved)
        available = memory.bandwidth_gb_s if memory.shared else bandwidth[banks[port]]
        bytes_per_cycle = share * available * 1e3 / clock_mhz
        timings[port] = PortTiming(
            words_per_cycle=min(1.0, bytes_per_cycle / config.word_bytes),
            burst_words=BURST_BYTES // config.word_bytes,
        )
    return timings

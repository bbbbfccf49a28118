"""A random encoder of some shape on a design, in timed emulation: what several benchmarks need."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aebert.design.board import Board
from aebert.design.design import Design
from aebert.design.hardware_config import HardwareConfig
from aebert.models.encoder import MATRIX_NAMES
from aebert.numerics.quantised import QuantisedEncoder
from aebert.timing.loop_schedules import estimated_schedules
from aebert.timing.memory_ports import port_timings
from benchmarks.kernel_folder import write_files
from codegen.placement import place_compute_units, port_traffic
from codegen.project_sources import read_sources
from codegen.render import kernel_files
from codegen.toolchains.timed import source_pragmas
from host.emulated.timed_emulator import TimedEmulatorDevice


def timed_device(directory: Path, config: HardwareConfig, board: Board, clock_mhz: float) -> TimedEmulatorDevice:
    """The kernel of ``config``, written to ``directory`` and compiled; depths from the operator table."""
    write_files(kernel_files(config, Design(config, board, clock_mhz).buffers), directory)
    banks = dict(place_compute_units(config, board, 1)[0].banks)
    ports = port_timings(config, board, clock_mhz, banks, port_traffic(config))
    sources = read_sources(directory)
    return TimedEmulatorDevice(sources, estimated_schedules(config, source_pragmas(sources)), ports)


def bank_balanced(
    dense: QuantisedEncoder, config: HardwareConfig, ratio: float, *, block: bool = False
) -> QuantisedEncoder:
    """``dense`` with the same number of vectors in every bank of every row group, at random places.

    With ``block`` all banks of a row group keep the same rows, as a block pattern of the lanes' size does.
    """
    random = np.random.default_rng(2)
    layers = []
    for layer in dense.layers:
        masked = {
            name: replace(linear, weight=_masked(linear.weight, config, ratio, random, block=block))
            for name, linear in ((name, layer.matrix(name)) for name in MATRIX_NAMES)
        }
        layers.append(
            replace(
                layer,
                query=masked["query"],
                key=masked["key"],
                value=masked["value"],
                attention_output=masked["attention_output"],
                ffn_in=masked["ffn_in"],
                ffn_out=masked["ffn_out"],
            )
        )
    return replace(dense, layers=tuple(layers))


def _masked(
    weight: npt.NDArray[np.int8], config: HardwareConfig, ratio: float, random: np.random.Generator, *, block: bool
) -> npt.NDArray[np.int8]:
    outputs, inputs = weight.shape
    groups, rows = outputs // config.out_lanes, inputs // config.in_lanes
    order = random.random((groups, rows, 1 if block else config.in_lanes)).argsort(axis=1)
    kept = np.broadcast_to(order < round(rows * (1 - ratio)), (groups, rows, config.in_lanes)).reshape(groups, inputs)
    # A kept vector must not be all zero by chance: it would not be stored.
    filled = np.where(weight == 0, np.int8(1), weight)
    masked: npt.NDArray[np.int8] = np.where(np.repeat(kept, config.out_lanes, axis=0), filled, np.int8(0))
    return masked

"""The closed-form cycle count beside timed emulation of the same launch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aebert.design.config import HardwareConfig
from aebert.design.cycles import count_cycles
from aebert.design.sizes import Sizes
from aebert.design.workload import Workload, weight_tiles
from aebert.encoder import MATRIX_NAMES
from aebert.quantised import QuantisedEncoder
from aebert.timing.ports import PORTS, PortTiming
from aebert.timing.schedules import estimated_schedules
from codegen.memory_image import build_memory_image
from codegen.render import TOP
from codegen.toolchains.timed import project_pragmas
from host.accelerator import Accelerator
from host.timed_emulator import TimedEmulatorDevice
from tests.support.emulated import write_kernel
from tests.support.random_quantised import random_residual


def compare_cycles(
    directory: Path, config: HardwareConfig, quantised: QuantisedEncoder, launches: Sequence[tuple[int, ...]]
) -> list[tuple[float, int]]:
    """(predicted, emulated) for every launch, given as its sequences' lengths; memory ports at full rate.

    Both take the loops' depths from the operator table.
    """
    write_kernel(config, directory)
    schedules = estimated_schedules(config, project_pragmas(directory))
    ports = {port: PortTiming(1.0, burst_words=4096 // config.word_bytes, gap=0) for port in PORTS}
    device = TimedEmulatorDevice(directory, TOP, schedules, ports)
    tiles = weight_tiles([[layer.matrix(name).weight for name in MATRIX_NAMES] for layer in quantised.layers])
    results = []
    with Accelerator(device, config, quantised, build_memory_image(quantised, config)) as accelerator:
        for lengths in launches:
            accelerator.run([random_residual(quantised.shape, length, seed=1) for length in lengths])
            predicted = count_cycles(Sizes.of(config), Workload(quantised.shape, tiles, lengths))
            results.append((float(predicted.total[0]), device.result().checked_cycles()))
    return results

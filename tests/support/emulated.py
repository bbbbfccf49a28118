"""A design compiled into the emulator, without a project around it."""

from __future__ import annotations

from pathlib import Path

from aebert.design.hardware_config import HardwareConfig
from aebert.numerics.quantised import QuantisedEncoder
from codegen.memory_image import MemoryImage, build_memory_image
from codegen.project_sources import read_sources
from host.devices.accelerator import Accelerator
from host.emulated.emulator import EmulatorDevice
from tests.support.small_project import small_project_text


def write_kernel(config: HardwareConfig, directory: Path, board: str = "u200") -> Path:
    """The generated C++ of ``config`` in ``directory``."""
    for name, text in small_project_text(config, board).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def accelerator(
    directory: Path,
    config: HardwareConfig,
    quantised: QuantisedEncoder,
    image: MemoryImage | None = None,
    options: tuple[str, ...] = (),
) -> Accelerator:
    """``quantised`` on the emulator of the kernel in ``directory``; ``image`` replaces the right memory contents."""
    device = EmulatorDevice(read_sources(directory), options)
    return Accelerator(device, config, quantised, image or build_memory_image(quantised, config))

"""The graphs of a whole small kernel, read once."""

from __future__ import annotations

import pytest

from aebert.design.hardware_config import HardwareConfig
from codegen.schedule.frontend.kernel import kernel_graphs
from codegen.schedule.graph import LoopGraph
from tests.codegen.schedule.kernels import CONTEXT
from tests.support.small_project import small_project_text

TINY_KERNEL = HardwareConfig(
    tokens=4,
    out_lanes=2,
    in_lanes=4,
    max_hidden=32,
    max_ffn=64,
    max_length=32,
    max_groups=8,
    word_bytes=16,
    row_slices=2,
)


@pytest.fixture(scope="session")
def kernel_config() -> HardwareConfig:
    return TINY_KERNEL


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoopGraph, ...]:
    folder = tmp_path_factory.mktemp("kernel")
    for name, text in small_project_text(TINY_KERNEL).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return kernel_graphs(folder, CONTEXT, TINY_KERNEL.word_bytes)

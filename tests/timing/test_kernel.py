"""The generated kernel in timed emulation: same results, a cycle count, and violations where a pragma is broken."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from aebert.design.fifos import kernel_fifos
from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_streams import HELD_SCORES_SLACK, PORTS
from aebert.design.pass_work import engine_steps, program_work
from aebert.design.size_arrays import Sizes
from aebert.numerics.quantised import QuantisedEncoder
from aebert.numerics.reference import run_encoder
from aebert.support.errors import AebertError
from aebert.timing.kernel_pragmas import KernelPragmas, parse_pragmas
from aebert.timing.loop_schedules import estimated_schedules
from aebert.timing.memory_ports import PortTiming
from aebert.timing.source_marks import read_marks
from aebert.timing.timed_result import TimedResult
from codegen.memory_image import build_memory_image
from codegen.project_sources import read_sources
from codegen.toolchains.timed import source_pragmas
from host.devices.accelerator import Accelerator
from host.emulated.timed_emulator import TimedEmulatorDevice
from tests.support.emulated import write_kernel
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape

CONFIG = HardwareConfig(
    tokens=8, out_lanes=2, in_lanes=8, max_hidden=64, max_ffn=128, max_length=64, max_groups=8, word_bytes=16
)
QUANTISED = random_quantised_encoder(random_shape(2, 64, 4, 128), seed=1, density=0.5)
TILES = build_memory_image(QUANTISED, CONFIG).matrix_tiles
FAST_PORTS = dict.fromkeys(PORTS, PortTiming(words_per_cycle=1.0))
# Compiled without optimisation: compiling takes longer than running.
OPTIONS = ("-O0",)


class Kernel:
    """The kernel in ``directory``, timed with what its sources (or other pragmas) say."""

    def __init__(self, directory: Path, quantised: QuantisedEncoder = QUANTISED) -> None:
        self._quantised = quantised
        self.pragmas = source_pragmas(read_sources(directory))
        self._device = TimedEmulatorDevice(read_sources(directory), (), {}, OPTIONS)
        image = build_memory_image(quantised, CONFIG)
        self._accelerator = Accelerator(self._device, CONFIG, quantised, image)

    def run(
        self,
        *lengths: int,
        pragmas: KernelPragmas | None = None,
        ports: dict[str, PortTiming] | None = None,
        deeper: float = 1.0,
    ) -> TimedResult:
        """Results must be the integer reference's whatever the clocks do."""
        chosen = pragmas or self.pragmas
        schedules = [
            dataclasses.replace(item, depth=max(item.ii, 1, int(item.depth * deeper)))
            for item in estimated_schedules(CONFIG, chosen)
        ]
        self._device.configure(chosen, schedules, ports or FAST_PORTS)
        residuals = [random_residual(self._quantised.shape, length, seed=length) for length in lengths]
        for residual, output in zip(residuals, self._accelerator.run(residuals), strict=True):
            assert np.array_equal(output, run_encoder(self._quantised, residual))
        return self._device.result()

    def useful(self, *lengths: int) -> int:
        """Iterations in which the engine multiplies."""
        return engine_steps(program_work(CONFIG, self._accelerator.program(lengths), QUANTISED.shape, TILES))


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    return Kernel(write_kernel(CONFIG, tmp_path_factory.mktemp("kernel")))


def broken(directory: Path, file: str, change: Callable[[str], str]) -> Path:
    """The kernel with one of its files changed."""
    write_kernel(CONFIG, directory)
    path = directory / "kernel" / file
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before
    return directory


def test_every_loop_and_array_of_the_kernel_is_marked(kernel: Kernel) -> None:
    names = {loop.name for loop in kernel.pragmas.loops}
    assert {"engine.Steps", "requantise.Vectors", "layer_norm.Normalise", "exponentials.Keys"} <= names
    result = kernel.run(20)
    assert {loop.name for loop in result.loops} == names
    assert set(kernel.pragmas.arrays) >= {"engine.operands", "engine.accumulators"}


def test_a_run_counts_cycles_of_every_pass_and_no_fifo_overflows(kernel: Kernel) -> None:
    result = kernel.run(64)
    cycles = result.checked_cycles()
    assert result.violations == ()
    assert max(process.end for process in result.processes) == cycles
    assert sum(result.cycles_per_pass().values()) <= cycles
    assert kernel.useful(64) <= sum(interval.busy for interval in result.process("engine").intervals) <= cycles
    assert all(stream.occupancy <= stream.depth and stream.left == 0 for stream in result.streams)


def test_the_table_of_fifos_is_that_of_the_kernel(kernel: Kernel) -> None:
    held = {"held_scores": CONFIG.length_groups * CONFIG.max_length + HELD_SCORES_SLACK}
    table = {each.name: int(each.depth[0]) for each in chain(*kernel_fifos(Sizes.of(CONFIG)))}
    assert {stream.name.partition("[")[0]: stream.depth for stream in kernel.run(8).streams} == table | held


def test_the_same_run_takes_the_same_cycles(kernel: Kernel) -> None:
    assert kernel.run(33).checked_cycles() == kernel.run(33).checked_cycles()


@pytest.mark.parametrize("deeper", [0.2, 3.0, 8.0])
def test_the_kernel_neither_deadlocks_nor_goes_wrong_whatever_depths_the_scheduler_finds(
    kernel: Kernel, deeper: float
) -> None:
    for lengths in ((64,), (1,), (8, 13, 20)):
        result = kernel.run(*lengths, deeper=deeper)
        assert result.violations == ()
        assert (result.checked_cycles() > kernel.run(*lengths).checked_cycles()) == (deeper > 1.0)


def test_cycles_follow_the_token_groups_not_the_maximum_length(kernel: Kernel) -> None:
    by_groups = [kernel.run(groups * CONFIG.tokens).checked_cycles() for groups in (1, 2, 4, 8)]
    assert by_groups == sorted(by_groups)
    assert by_groups[0] < by_groups[3] / 3
    # Three tokens or eight: the same token group.
    assert kernel.run(3).checked_cycles() == pytest.approx(kernel.run(8).checked_cycles(), rel=0.02)


def test_short_sequences_together_take_less_than_one_after_another(kernel: Kernel) -> None:
    apart = sum(kernel.run(length).checked_cycles() for length in (8, 13, 20))
    assert kernel.run(8, 13, 20).checked_cycles() < apart


def test_slow_memory_costs_cycles_and_is_seen_at_the_port(kernel: Kernel) -> None:
    slow = dict(FAST_PORTS, weights=PortTiming(words_per_cycle=0.05))
    fast_run, slow_run = kernel.run(8), kernel.run(8, ports=slow)
    assert slow_run.checked_cycles() > 1.5 * fast_run.checked_cycles()
    assert slow_run.process("read_weights").memory > fast_run.process("read_weights").memory
    assert slow_run.process("fetch_tiles").starved > fast_run.process("fetch_tiles").starved


def _with_partition(pragmas: KernelPragmas, name: str, dimensions: frozenset[int]) -> KernelPragmas:
    changed = dataclasses.replace(pragmas.arrays[name], partitioned=dimensions)
    return dataclasses.replace(pragmas, arrays={**pragmas.arrays, name: changed})


@pytest.mark.parametrize(
    ("array", "loop"),
    [
        ("engine.operands", "engine.Steps"),
        ("fetch_tiles.keys", "fetch_tiles.Tiles"),
        ("fetch_tiles.values", "fetch_tiles.Tiles"),
    ],
)
def test_a_missing_partition_is_a_violation(kernel: Kernel, array: str, loop: str) -> None:
    pragmas = _with_partition(kernel.pragmas, array, frozenset())
    result = kernel.run(20, pragmas=pragmas)
    assert result.cycles is None
    assert {(violation.kind, violation.array) for violation in result.violations} == {("read ports", array)}
    with pytest.raises(AebertError, match=rf"read ports: array {array}, bank 0, loop {loop}, iteration"):
        result.checked_cycles()


@pytest.mark.parametrize("array", ["engine.accumulators", "layer_norm.sum", "exponentials.total"])
def test_an_accumulator_in_memory_instead_of_registers_is_a_violation(kernel: Kernel, array: str) -> None:
    assert kernel.pragmas.arrays[array].registers
    pragmas = _with_partition(kernel.pragmas, array, frozenset({1}))
    result = kernel.run(8, pragmas=pragmas)
    assert result.cycles is None
    assert ("read after write", array) in {(violation.kind, violation.array) for violation in result.violations}


def test_the_removed_pragma_itself_is_noticed(tmp_path: Path) -> None:
    def without_partition(text: str) -> str:
        return text.replace("#pragma HLS ARRAY_PARTITION variable = operands type = complete dim = 1\n", "")

    directory = broken(tmp_path, "engine.cpp", without_partition)
    arrays = source_pragmas(read_sources(directory)).arrays
    assert not arrays["engine.operands"].banked
    assert arrays["engine.far_accumulators"].banked


def test_arrays_of_one_name_in_two_functions_are_two() -> None:
    block = "int sums[4];\n#pragma HLS ARRAY_PARTITION variable = sums type = complete\n"
    other = "int sums[4];\n#pragma HLS BIND_STORAGE variable = sums type = ram_t2p impl = bram\n"
    first, second = read_marks("a.cpp", block + other).arrays
    assert (first.declared_line, first.banked, first.storage) == (1, True, "")
    assert (second.declared_line, second.banked, second.storage) == (3, False, "ram_t2p")
    assert (second.read_ports, second.write_ports) == (2, 2)


def test_reading_an_operand_too_soon_after_its_write_back_is_a_violation(tmp_path: Path) -> None:
    directory = broken(
        tmp_path,
        "gate.h",
        lambda text: text.replace("gate.delayed[kSettleDelay - 1].from", "arrivals.from"),
    )
    # Two rows per matrix: the last one written back is among the first ones read.
    result = Kernel(directory, random_quantised_encoder(random_shape(1, 16, 2, 16), seed=2)).run(8)
    assert result.cycles is None
    assert {violation.kind for violation in result.violations} == {"read after write"}
    assert {violation.loop for violation in result.violations} == {"engine.Steps", "fetch_tiles.Tiles"}


def test_a_score_buffer_smaller_than_a_head_deadlocks_and_the_message_names_the_streams(tmp_path: Path) -> None:
    directory = broken(
        tmp_path,
        "config.h",
        lambda text: re.sub(r"kHeldDepth = \d+", "kHeldDepth = 32", text),
    )
    with pytest.raises(AebertError, match="row_maximum waits to write held_scores; exponentials waits to read maxima"):
        Kernel(directory).run(64)


def test_a_loop_without_a_body_mark_is_refused() -> None:
    with pytest.raises(AebertError, match=r"loop engine\.Steps: AEBERT_ITERATION is missing"):
        parse_pragmas({"engine.cpp": "AEBERT_LOOP(engine.Steps)\nfor (;;) {\n#pragma HLS PIPELINE II = 1\n}\n"})


def test_an_ii_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(AebertError, match=r"a\.cpp:4: II of a\.B: 'kWords' is not a number"):
        parse_pragmas(
            {"a.cpp": "AEBERT_LOOP(a.B)\nfor (;;) {\n#pragma HLS PIPELINE II = kWords\nAEBERT_ITERATION;\n}\n"}
        )


DIES = dataclasses.replace(CONFIG, tokens=16, engines=2, max_groups=4, lut_lanes=3)


def test_engines_that_share_a_group_take_the_cycles_of_one_with_as_many_tokens(tmp_path: Path) -> None:
    whole, cut = (
        _cycles(write_kernel(config, tmp_path / str(config.engines)), config)
        for config in (dataclasses.replace(DIES, engines=1), DIES)
    )
    # Each engine's divider and square root serve half as many tokens; nothing else is another time.
    assert 0.93 * whole.checked_cycles() < cut.checked_cycles() < 1.01 * whole.checked_cycles()
    names = [process.name for process in cut.processes]
    assert [name for name in names if name.startswith("engine")] == ["engine", "engine[1]"]
    assert names.count("fetch_tiles") == 1
    # One copy of the tiles goes to both.
    sent = {stream.name: stream.transfers for stream in cut.streams if stream.name.startswith("tiles")}
    assert sent == dict.fromkeys(("tiles[0]", "tiles[1]"), sent["tiles[0]"])


def _cycles(directory: Path, config: HardwareConfig) -> TimedResult:
    sources = read_sources(directory)
    pragmas = source_pragmas(sources)
    device = TimedEmulatorDevice(sources, estimated_schedules(config, pragmas), FAST_PORTS, OPTIONS)
    image = build_memory_image(QUANTISED, config)
    with Accelerator(device, config, QUANTISED, image) as accelerator:
        residual = random_residual(QUANTISED.shape, 64, seed=3)
        assert np.array_equal(accelerator.run([residual])[0], run_encoder(QUANTISED, residual))
        result = device.result()
    assert result.violations == ()
    return result

"""One description says what the kernel knows: what changes there changes in the C++, the memory and the model alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from aebert.design import kernel_streams
from aebert.design.buffers import on_chip_buffers
from aebert.design.cpp_records import Field, MemoryRecord
from aebert.design.fifos import kernel_fifos, wires_outward
from aebert.design.hardware_config import SETTLE_ITERATIONS, HardwareConfig
from aebert.design.kernel_records import (
    HELD_WRITE_BACK,
    INT16,
    INT32,
    PARAMETERS,
    PASS,
    PASS_FLAG_NOTES,
    PASS_KIND_NOTES,
    UINT8,
    WRITE_BACK,
    PassFlag,
    PassKind,
)
from aebert.design.kernel_streams import ENGINE_PROCESSES, PORTS, PROCESSES, STREAMS
from aebert.design.launch_cycles import count_cycles
from aebert.design.pipeline_latencies import DEFAULT_LATENCIES, ENGINE_LOOP, LOOPS
from aebert.design.program import build_program
from aebert.design.size_arrays import Sizes
from aebert.design.workload import Workload, pattern_tiles
from aebert.timing.kernel_pragmas import parse_pragmas
from aebert.timing.memory_ports import PortTiming
from codegen.memory_image import build_memory_image
from host.verify.compare import compare_sequence
from tests.support.emulated import accelerator, write_kernel
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape
from tests.support.small_project import small_project_text

CONFIG = HardwareConfig(tokens=8, out_lanes=2, in_lanes=4, max_hidden=32, max_ffn=64, max_length=16, max_groups=3)
Change = Callable[[MemoryRecord, tuple[Field, ...]], None]


@pytest.fixture
def change() -> Iterator[Change]:
    """Gives a record of the description other fields until the test is over."""
    before = {id(record): (record, record.fields) for record in (PASS, PARAMETERS)}

    def changed(record: MemoryRecord, fields: tuple[Field, ...]) -> None:
        replace(record, fields=fields)  # refuses what C++ would lay out otherwise
        object.__setattr__(record, "fields", fields)

    yield changed
    for record, fields in before.values():
        object.__setattr__(record, "fields", fields)


def _is_bit_exact(directory: Path) -> bool:
    quantised = random_quantised_encoder(random_shape(1, 32, 2, 64), seed=3, density=0.6)
    ours = accelerator(write_kernel(CONFIG, directory), CONFIG, quantised, options=("-O0",))
    return compare_sequence(ours, quantised, random_residual(quantised.shape, 11, seed=1)).mismatch is None


def _reordered_pass() -> tuple[Field, ...]:
    """The 32-bit fields first and last to first; the kind takes 32 bits, the tiles of a row group 16."""
    wide = [field for field in reversed(PASS.fields) if field.type == INT32 and field.name != "tiles"]
    wide += [field for field in PASS.fields if field.type not in (INT16, INT32)]
    narrow = [field for field in reversed(PASS.fields) if field.type == INT16 and field.name != "kind"]
    (tiles,) = [field for field in PASS.fields if field.name == "tiles"]
    (kind,) = [field for field in PASS.fields if field.name == "kind"]
    return (*wide, replace(kind, type=INT32), *narrow, replace(tiles, type=INT16))


def test_records_with_other_fields_are_read_as_they_are_written(change: Change, tmp_path: Path) -> None:
    before = PASS.dtype, PARAMETERS.dtype
    table = _program_table()
    change(PASS, _reordered_pass())
    gain, offset, multiplier, second_multiplier, *shifts = PARAMETERS.fields
    change(PARAMETERS, (offset, gain, second_multiplier, multiplier, *shifts))
    assert (PASS.dtype, PARAMETERS.dtype) != before
    moved = _program_table()
    assert moved.tobytes() != table.tobytes()
    for name in (field.name for field in PASS.fields):
        np.testing.assert_array_equal(moved[name], table[name])
    assert _is_bit_exact(tmp_path)


def _program_table() -> np.ndarray:
    quantised = random_quantised_encoder(random_shape(1, 32, 2, 64), seed=3)
    image = build_memory_image(quantised, CONFIG)
    return image.program_bytes(build_program(CONFIG, quantised, [9])).view(PASS.dtype)


def test_a_kernel_that_reads_the_old_record_is_found_out(change: Change, tmp_path: Path) -> None:
    """What the test above would see if only one side followed."""
    directory = write_kernel(CONFIG, tmp_path)
    change(PARAMETERS, (PARAMETERS.fields[1], PARAMETERS.fields[0], *PARAMETERS.fields[2:]))
    quantised = random_quantised_encoder(random_shape(1, 32, 2, 64), seed=3, density=0.6)
    ours = accelerator(directory, CONFIG, quantised, options=("-O0",))
    assert compare_sequence(ours, quantised, random_residual(quantised.shape, 11, seed=1)).mismatch is not None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((Field("kind", INT16), Field("outputs", INT32)), r"Pass\.outputs: byte 2 is no multiple of its 4 bytes"),
        ((Field("kind", UINT8),), r"Pass\.kind: 1 bytes, the unpacker reads 2 at least"),
        ((Field("lane", INT16, extents=("tokens",)),), r"Pass\.lane: only whole integers lie in memory"),
        (PASS.fields[:-1], "Pass: its fields take 60 bytes of 64"),
    ],
)
def test_a_record_that_cpp_would_lay_out_otherwise_is_refused(fields: tuple[Field, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PASS, fields=fields)


def test_another_depth_changes_the_kernel_its_resources_and_its_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = random_shape(2, 32, 2, 64)
    sizes = Sizes.of(CONFIG)
    workload = Workload(shape, pattern_tiles(shape, 0.0, CONFIG.out_lanes, banks=CONFIG.in_lanes), (16,))

    def seen() -> tuple[str, int, str, int, float]:
        fifos = {each.name: int(each.depth[0]) for each in chain(*kernel_fifos(sizes))}
        (scores,) = (int(each.depth[0]) for each in on_chip_buffers(sizes) if each.name == "scores")
        cycles = float(count_cycles(sizes, workload).total[0])
        return _constant("kRowGroupDepth"), fifos["row_groups"], _constant("kHeldDepth"), scores, cycles

    held = CONFIG.length_groups * CONFIG.max_length
    *depths, cycles = seen()
    assert depths == ["32", 32, str(held + 64), held + 64]
    monkeypatch.setattr(kernel_streams, "ROW_GROUP_DEPTH", 48)
    monkeypatch.setattr(kernel_streams, "HELD_SCORES_SLACK", 1)
    *depths, waiting = seen()
    assert depths == ["48", 48, str(held + 1), held + 1]
    assert waiting > cycles


def _kernel(config: HardwareConfig = CONFIG) -> dict[str, str]:
    return {name: text for name, text in small_project_text(config, "u200").items() if name.startswith("kernel/")}


def _constant(name: str) -> str:
    (value,) = re.findall(rf"constexpr int {name} = ([^;]*);", "\n".join(_kernel().values()))
    return str(value)


def test_a_write_back_is_as_wide_as_its_fields() -> None:
    numbers = {"tokens": 8, "address": 16, "bank": 3}
    assert WRITE_BACK.width(numbers) == 8 * 8 + 16 + 3
    assert HELD_WRITE_BACK.width(numbers) == 8 * 8 + 16 + 3 + 1


def test_the_model_waits_as_long_as_the_kernel_says() -> None:
    assert float(_constant("kSettle")) == SETTLE_ITERATIONS == DEFAULT_LATENCIES.settle
    latencies = set(re.findall(r"depth = \w+ latency = (\d+) ", _kernel()["kernel/kernel.cpp"]))
    assert {float(each) for each in latencies} == {DEFAULT_LATENCIES.memory} == {float(PortTiming(1.0).latency)}


def test_every_stream_process_and_port_of_the_kernel_is_in_the_description_and_the_other_way_round() -> None:
    kernel = _kernel(replace(CONFIG, engines=2))["kernel/kernel.cpp"]
    processes = re.findall(r"AEBERT_PROCESS\((\w+), ([^;]*)\);", kernel)
    for process in PROCESSES:
        assert [name for name, _ in processes].count(process) == (2 if process in ENGINE_PROCESSES else 1)
    arguments = [name for _, joined in processes for name in re.findall(r"\w+(?:\[\d\])*", joined)]
    for stream in STREAMS:
        ends = [argument for argument in arguments if argument.partition("[")[0] == stream.name]
        # One writes, one reads; where each engine has its own, all of them at once at one end, or each with both.
        both = sorted([f"{stream.name}[0]", f"{stream.name}[1]"] * 2)
        one = sorted([stream.name, f"{stream.name}[0]", f"{stream.name}[1]"])
        assert sorted(ends) in ((one, both) if stream.per else ([stream.name] * 2,)), stream.name
    assert re.findall(r"mode = m_axi port = (\w+)", kernel) == list(PORTS)


def test_what_goes_from_die_to_die_are_the_streams_between_an_engine_and_what_all_share() -> None:
    kernel = _kernel(replace(CONFIG, engines=2))["kernel/kernel.cpp"]
    ends: dict[str, set[bool]] = {}
    for process, joined in re.findall(r"AEBERT_PROCESS\((\w+), ([^;]*)\);", kernel):
        for name in re.findall(r"\w+", joined):
            ends.setdefault(name, set()).add(process in ENGINE_PROCESSES)
    assert {stream.name for stream in STREAMS if stream.outward} == {
        stream.name for stream in STREAMS if ends[stream.name] == {False, True}
    }
    widths = {"engine_passes": 352, "tiles": 8 * 2 * 4 + 4 * 4, "held": 8 * 4 + 16 + 2 + 1, "gathered_output": 16 * 4}
    own = {fifo.name: int(fifo.width_bits[0]) for fifo in kernel_fifos(Sizes.of(replace(CONFIG, engines=2)))[1]}
    assert {name: own[name] for name in widths} == widths
    flags = 2 * sum(stream.outward for stream in STREAMS)
    outward = sum(own[stream.name] for stream in STREAMS if stream.outward)
    assert wires_outward(Sizes.of(replace(CONFIG, engines=2))).tolist() == [outward + flags]


def test_every_kind_and_flag_has_its_number_and_note_in_the_kernel() -> None:
    types = _kernel()["kernel/types.h"]
    assert set(PASS_KIND_NOTES) == set(PassKind)
    assert set(PASS_FLAG_NOTES) == set(PassFlag)
    for name, value in (*PassKind.__members__.items(), *PassFlag.__members__.items()):
        camel = "".join(part.capitalize() for part in name.split("_"))
        assert re.search(rf"\bk{camel} = {value:d},", types)


def test_every_loop_that_the_closed_form_counts_is_one_of_the_kernel() -> None:
    names = {loop.name for loop in parse_pragmas(_kernel()).loops}
    assert {ENGINE_LOOP, *LOOPS.values()} <= names
    assert {*LOOPS, "engine"} <= set(vars(DEFAULT_LATENCIES))

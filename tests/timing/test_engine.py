"""The timing engine against cases counted by hand (docs/timed_emulation.md has the rules of counting)."""

from __future__ import annotations

import ctypes
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aebert.support.native_build import find_compiler
from aebert.timing.memory_ports import PortTiming
from aebert.timing.timed_result import TimedResult, parse_result
from codegen.render import environment, render_folder
from tests.support.clocked_loops import ClockedLoop, simulate
from tests.support.paths import SUPPORT

CASES = SUPPORT / "timed_cases.cpp"


class Regions:
    """The regions of timed_cases.cpp. Loops: name -> (II, depth); II 0 is a sequential loop."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def loops(self, **loops: tuple[int, int]) -> None:
        labels = {
            "expand_counts": "expand.Counts", "poll": "poll.Polls", "load": "load.Words", "insist": "insist.Tries",
        }  # fmt: skip
        for name, (ii, depth) in loops.items():
            label = labels.get(name, f"{name}.Elements")
            self._library.aebert_timing_set_loop(label.encode(), ii, depth)

    def stage(self, loop: str, argument: int, stage: int) -> None:
        self._library.aebert_timing_set_stage(loop.encode(), argument, stage)

    def first_read(self, loop: str, stage: int) -> None:
        self._library.aebert_timing_set_first_read(loop.encode(), stage)

    def array(self, name: str, *, partitioned: bool, registers: bool = False) -> None:
        self._library.aebert_timing_set_array(name.encode(), partitioned, registers, 1, 1)

    def dependence(self, loop: str, array: str, distance: int) -> None:
        self._library.aebert_timing_set_dependence(loop.encode(), array.encode(), distance)

    def port(self, name: str, timing: PortTiming) -> None:
        self._library.aebert_timing_set_port(
            name.encode(),
            ctypes.c_double(timing.words_per_cycle),
            timing.latency,
            timing.burst_words,
            timing.gap,
            timing.outstanding,
        )

    def run(self, region: str, *arguments: int) -> TimedResult:
        self._library[f"run_{region}"](*arguments)
        read = self._library.aebert_timing_result
        read.restype = ctypes.c_char_p
        return parse_result(read().decode())

    def returned(self, region: str, *arguments: int) -> int:
        return int(self._library[f"run_{region}"](*arguments))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("timed")
    emulation = render_folder("emulation", {})
    (folder / "emulation").mkdir()
    (folder / "kernel").mkdir()
    for name, text in emulation.items():
        (folder / "emulation" / name).write_text(text)
    (folder / "kernel" / "streams.h").write_text(environment().get_template("kernel/streams.h.j2").render())
    sources = [str(folder / "emulation" / name) for name in emulation if name.endswith(".cpp")]
    target = folder / "cases.so"
    options = ["-std=c++17", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-DAEBERT_TIMED", f"-I{folder}"]
    command = [*find_compiler().command, *options, *sources, str(CASES), "-o", str(target)]
    subprocess.run(command, check=True, timeout=300)
    return ctypes.CDLL(str(target))


@pytest.fixture
def regions(library: ctypes.CDLL) -> Regions:
    return Regions(library)


def fifo_occupancy(result: TimedResult, name: str) -> int:
    return next(stream.occupancy for stream in result.streams if stream.name == name)


def test_a_rate_matched_pipeline_takes_latency_plus_one_cycle_per_element(regions: Regions) -> None:
    # Entry 1; element i leaves the source at 1 + i + 2, is read one cycle later (4 + i), the last at 13; 13 + 2.
    regions.loops(source=(1, 3), sink=(1, 2))
    result = regions.run("chain", 10, 2)
    assert result.cycles == 15
    assert fifo_occupancy(result, "fifo") == 2
    assert result.process("sink").starved == 3
    assert result.process("source").stalled == 0


def test_a_fifo_one_entry_too_shallow_halves_the_rate(regions: Regions) -> None:
    # One entry: written at c, read at c + 1, free at c + 2. Reads at 4, 6, ... 22; 22 + 2.
    regions.loops(source=(1, 3), sink=(1, 2))
    result = regions.run("chain", 10, 1)
    assert result.cycles == 24
    assert result.process("source").stalled == 9
    assert fifo_occupancy(result, "fifo") == 1


def test_a_slow_reader_sets_the_rate_and_the_writer_stalls(regions: Regions) -> None:
    # Reads at 4 + 3 i, the last at 31; 31 + 3 (depth). Write 9 waits for read 5 (19) and takes place at 20, not at 12.
    regions.loops(source=(1, 3), sink=(3, 3))
    result = regions.run("chain", 10, 4)
    assert result.cycles == 34
    assert result.process("source").stalled == 8
    assert fifo_occupancy(result, "fifo") == 4


def test_a_slow_writer_sets_the_rate_and_the_reader_starves(regions: Regions) -> None:
    # Writes at 3 + 3 i, reads one later, the last at 31; 31 + 2. Without waiting it would have been at 10.
    regions.loops(source=(3, 3), sink=(1, 2))
    result = regions.run("chain", 10, 4)
    assert result.cycles == 33
    assert result.process("sink").starved == 21
    assert fifo_occupancy(result, "fifo") == 1


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    count=st.integers(1, 12),
    depths=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    loops=st.tuples(*[st.tuples(st.integers(1, 4), st.integers(0, 6), st.integers(0, 6), st.integers(0, 6))] * 3),
)
def test_any_chain_takes_the_cycles_of_a_simulation_cycle_by_cycle(
    regions: Regions, count: int, depths: tuple[int, int], loops: tuple[tuple[int, int, int, int], ...]
) -> None:
    source, relay, sink = ((ii, ii + more) for ii, more, _, _ in loops)
    reads = [min(read, ii + more - 1) for ii, more, read, _ in loops]
    writes = [min(read + later, ii + more - 1) for (ii, more, _, later), read in zip(loops, reads, strict=True)]
    regions.loops(source=source, relay=relay, sink=sink)
    regions.stage("source.Elements", 1, writes[0])
    regions.first_read("relay.Elements", reads[1])
    regions.stage("relay.Elements", 2, writes[1])
    regions.first_read("sink.Elements", reads[2])
    result = regions.run("relay", count, *depths)
    stages = [
        ClockedLoop(count, *source, reads=None, writes=0, write_stage=writes[0]),
        ClockedLoop(count, *relay, reads=0, writes=1, read_stage=reads[1], write_stage=writes[1]),
        ClockedLoop(count, *sink, reads=1, writes=None, read_stage=reads[2]),
    ]
    assert result.cycles == simulate(stages, depths)


def test_accesses_of_a_sequential_iteration_take_place_in_their_states(regions: Regions) -> None:
    # States from 1 on. Written in the second, 2; read in the third, 3, one is left, 4; entry 5, issues 6 7 8, end 12.
    # Without stages: written in the last, 4; read in the first, 5, then 6 7 8; entry 9, issues 10 11 12, end 16.
    regions.loops(counts=(0, 4), expand_counts=(0, 4), expand=(1, 4), sink=(1, 1))
    regions.stage("counts.Elements", 0, 1)
    regions.stage("expand.Counts", 0, 2)
    result = regions.run("data_dependent")
    regions.loops(counts=(0, 4), expand_counts=(0, 4), expand=(1, 4), sink=(1, 1))
    late = regions.run("data_dependent")
    assert [each.process("expand").intervals[1].end for each in (result, late)] == [12, 16]


def test_a_starved_pipeline_holds_its_results_back(regions: Regions) -> None:
    # Entry 1; elements are written in the last of ten states, at 10, 20, 30, and read at 11, 21, 31. The first result
    # is due three stages on, but the pipeline stands still until the last element has come: results at 32, 33, 34;
    # read at 33 ... 35; 35 + 1.
    regions.loops(slow_source=(0, 10), relay=(1, 4), sink=(1, 1))
    result = regions.run("held_results", 3)
    assert result.cycles == 36
    assert result.process("relay").starved == 28


@pytest.mark.parametrize("depth", [8, 9, 100])
def test_reconvergent_paths_meet_when_the_short_one_can_hold_everything(regions: Regions, depth: int) -> None:
    # The eighth element is read by `reduce` at 10, its loop ends at 11, `join` reads the total in state 12, enters its
    # loop in state 13 and reads from 14 until 21; 21 + 1.
    regions.loops(split=(1, 2), reduce=(1, 1), join=(1, 1))
    result = regions.run("reconvergent", 8, depth)
    assert result.cycles == 22
    assert fifo_occupancy(result, "right") == 8


@pytest.mark.parametrize("split", [(1, 2), (0, 1)])
def test_reconvergent_paths_deadlock_one_entry_below_and_the_report_says_who_waits_for_what(
    regions: Regions, split: tuple[int, int]
) -> None:
    # Both elements leave in one stage, or state: what has room waits for what has none, so `reduce` gets no eighth one.
    regions.loops(split=split, reduce=(1, 1), join=(1, 1))
    result = regions.run("reconvergent", 8, 7)
    assert result.cycles is None
    assert {(item.process, item.action, item.stream) for item in result.blocked} == {
        ("split", "write", "right"),
        ("reduce", "read", "left"),
        ("join", "read", "total"),
    }
    assert result.error.startswith("deadlock: ")


def test_trip_counts_that_depend_on_data(regions: Regions) -> None:
    # expand: entry 0; the first count, written at 1, is read at 2, second state 3, entry 4, issues 5 6 7, end 11;
    # states 11 and 12, entry 13, the test of a loop without trips 14 ... 16; states 17 and 18, entry 19, issues
    # 20 ... 24, end 28; the test of the outer loop in 28. Results three stages after issue; the last (27) is read at
    # 28; 28 + 1.
    regions.loops(counts=(1, 1), expand_counts=(0, 2), expand=(1, 4), sink=(1, 1))
    result = regions.run("data_dependent")
    assert result.process("expand").end == 29
    assert result.cycles == 29
    assert result.cycles_per_pass("expand") == {0: 10, 1: 6, 2: 12}


def test_a_poll_sees_an_element_exactly_one_cycle_after_it_was_written(regions: Regions) -> None:
    # Written at 1, 6, 11; polls in cycles 1 ... 12, of which those at 2, 7 and 12 succeed; 12 + 1.
    regions.loops(source=(5, 1), poll=(1, 1))
    assert regions.returned("poll", 3, 3) == 12
    result = regions.run("poll", 3, 3)
    assert result.cycles == 13
    assert result.process("poll").idle == 9


def test_polling_for_ever_is_a_deadlock(regions: Regions) -> None:
    regions.loops(source=(5, 1), poll=(1, 1))
    result = regions.run("poll", 3, 4)
    assert result.cycles is None
    assert [(item.process, item.action, item.stream) for item in result.blocked] == [("poll", "poll", "fifo")]


def test_credits_make_a_round_trip(regions: Regions) -> None:
    # Issue 1, written 2, read and credited 3, polled 4: a period of 3. The last is read at 15; 15 + 1.
    regions.loops(sender=(1, 2), receiver=(1, 1))
    assert regions.run("credits", 5).cycles == 16


def test_a_credit_that_stays_in_a_starved_pipeline_is_a_deadlock(regions: Regions) -> None:
    # With one more stage the receiver's credit leaves only when the next element comes, which waits for that credit.
    regions.loops(sender=(1, 2), receiver=(1, 2))
    result = regions.run("credits", 5)
    assert result.cycles is None
    assert {(item.process, item.action, item.stream) for item in result.blocked} == {
        ("sender", "poll", "credits"),
        ("receiver", "read", "data"),
    }


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    count=st.integers(1, 12),
    depth=st.integers(1, 4),
    source=st.tuples(st.integers(1, 4), st.integers(0, 4), st.integers(0, 3)),
    sink=st.tuples(st.integers(1, 5), st.integers(0, 3), st.integers(1, 12)),
)
def test_what_finds_no_room_is_lost_as_in_a_simulation_cycle_by_cycle(
    regions: Regions, count: int, depth: int, source: tuple[int, int, int], sink: tuple[int, int, int]
) -> None:
    (ii, more, behind), (sink_ii, sink_more, iterations) = source, sink
    stage = max(0, min(ii, ii + more - 1) - behind)
    regions.loops(dropping_source=(ii, ii + more), try_sink=(sink_ii, sink_ii + sink_more))
    regions.stage("dropping_source.Elements", 1, stage)
    dropping = ClockedLoop(count, ii, ii + more, reads=None, writes=0, waits=False, write_stage=stage)
    trying = ClockedLoop(iterations, sink_ii, sink_ii + sink_more, reads=0, writes=None, waits=False)
    cycles = simulate([dropping, trying], [depth])
    assert regions.returned("dropping", count, depth, iterations) == dropping.lost
    assert regions.run("dropping", count, depth, iterations).cycles == cycles


def test_trying_for_ever_to_write_is_a_deadlock(regions: Regions) -> None:
    regions.loops(insist=(1, 1), sink=(1, 1))
    result = regions.run("insist")
    assert result.cycles is None
    assert [(item.process, item.action, item.stream) for item in result.blocked] == [("insist", "poll", "fifo")]


def test_what_a_non_blocking_write_cannot_do_is_an_error(regions: Regions) -> None:
    regions.loops(dropping_source=(1, 4), try_sink=(1, 1))
    regions.stage("dropping_source.Elements", 1, 2)
    assert "in a stage beyond the interval" in regions.run("dropping", 3, 2, 3).error
    regions.loops(source=(1, 1), read_behind_write=(1, 1), sink=(1, 1))
    assert regions.run("read_behind_write").error == "read_behind_write reads in after a non-blocking write"


@pytest.mark.parametrize(
    ("rate", "burst", "gap", "cycles"),
    [
        (1.0, 64, 0, 22),  # words at 11 ... 18, written on at 19, read at 20; 20 + 2
        (0.5, 64, 0, 29),  # words at 11, 13, ... 25
        (1.0, 4, 3, 25),  # three cycles between the two bursts
    ],
)
def test_a_port_has_latency_bandwidth_and_bursts(
    regions: Regions, rate: float, burst: int, gap: int, cycles: int
) -> None:
    regions.loops(load=(1, 2), sink=(1, 2))
    regions.port("words", PortTiming(words_per_cycle=rate, latency=10, burst_words=burst, gap=gap, outstanding=4))
    assert regions.run("load", 8).cycles == cycles


def test_a_port_with_few_outstanding_bursts_waits_for_each(regions: Regions) -> None:
    # One burst of four at a time: words at 11 ... 14; the next is requested at 14 and there at 24 ... 27; 28, 29, + 2.
    regions.loops(load=(1, 2), sink=(1, 2))
    regions.port("words", PortTiming(words_per_cycle=1.0, latency=10, burst_words=4, gap=0, outstanding=1))
    assert regions.run("load", 8).cycles == 31


@pytest.mark.parametrize(
    ("rate", "burst", "gap", "cycles"),
    [
        (1.0, 64, 0, 28),  # iterations at 1 ... 8, over at 10, when the words leave; confirmed 10 after the last
        (0.5, 64, 0, 36),  # a word leaves every second cycle
        (1.0, 4, 0, 22),  # the second burst is there at 8, when the first has left
        (1.0, 4, 3, 25),  # three cycles between the two
    ],
)
def test_a_burst_is_written_when_its_words_are_there(
    regions: Regions, rate: float, burst: int, gap: int, cycles: int
) -> None:
    regions.loops(keep=(1, 2))
    regions.port("words", PortTiming(words_per_cycle=rate, latency=10, burst_words=burst, gap=gap, outstanding=4))
    assert regions.run("keep", 8).cycles == cycles


def test_a_loop_that_writes_waits_for_room_for_two_bursts(regions: Regions) -> None:
    # Bursts of 4 at 4 cycles a word leave from 4, 20 and 36 on; the tenth word waits until the second has left, at 12.
    regions.loops(keep=(1, 2))
    regions.port("words", PortTiming(words_per_cycle=0.25, latency=10, burst_words=4, gap=0, outstanding=4))
    result = regions.run("keep", 12)
    assert result.cycles == 4 + 3 * 16 + 10
    assert result.process("keep").memory == 62 - 13 - 1


def test_an_accumulation_through_memory_needs_three_iterations_between(regions: Regions) -> None:
    regions.loops(accumulate=(1, 4))
    regions.array("accumulate.sums", partitioned=False)
    assert regions.run("accumulate", 12, 3).cycles == 1 + 11 + 4
    result = regions.run("accumulate", 12, 2)
    assert result.cycles is None
    (violation,) = result.violations
    assert (violation.kind, violation.array, violation.loop) == (
        "read after write",
        "accumulate.sums",
        "accumulate.Elements",
    )
    assert (violation.iteration, violation.count) == (2, 10)


def test_an_accumulation_in_registers_may_be_read_in_the_next_iteration(regions: Regions) -> None:
    regions.loops(accumulate=(1, 4))
    regions.array("accumulate.sums", partitioned=True, registers=True)
    assert regions.run("accumulate", 12, 1).cycles == 16


def test_a_dependence_pragma_is_held_to_its_word(regions: Regions) -> None:
    regions.loops(accumulate=(1, 4))
    regions.array("accumulate.sums", partitioned=False)
    regions.dependence("accumulate.Elements", "accumulate.sums", 6)
    assert regions.run("accumulate", 30, 6).cycles is not None
    assert regions.run("accumulate", 30, 5).cycles is None
    regions.dependence("accumulate.Elements", "accumulate.sums", 0)  # never within the pipeline's depth
    assert regions.run("accumulate", 30, 4).cycles is not None
    assert regions.run("accumulate", 30, 3).cycles is None


def test_banks_have_ports_of_their_own_only_when_partitioned(regions: Regions) -> None:
    regions.loops(gather=(1, 3))
    regions.array("gather.rows", partitioned=True)
    assert regions.run("gather", 10).cycles == 1 + 9 + 3
    regions.array("gather.rows", partitioned=False)
    result = regions.run("gather", 10)
    assert result.cycles is None
    assert result.violations[0].kind == "read ports"
    assert result.violations[0].iteration == 0
    regions.loops(gather=(4, 4))
    assert regions.run("gather", 10).cycles == 1 + 9 * 4 + 4

"""Where II, depth and port timing come from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aebert.design.board import load_board
from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_streams import PORTS
from aebert.hls_reports.hls_model import HlsClock, ReportedLoop, ReportedModule
from aebert.hls_reports.model import CsynthReport
from aebert.hls_reports.resources import HlsResources, ReportSource
from aebert.hls_reports.values import IntRange
from aebert.support.errors import AebertError
from aebert.timing.kernel_pragmas import KernelPragmas, LoopPragmas, parse_pragmas
from aebert.timing.loop_schedules import LoopLatency, StreamStage, estimated_schedules, synthesised_schedules
from aebert.timing.memory_ports import port_timings
from aebert.timing.operator_latencies import OPERATORS, path_cycles
from aebert.timing.scheduled_latencies import scheduled_latencies
from aebert.timing.timed_result import parse_result
from host.emulated.timing_calls import timing_calls

CONFIG = HardwareConfig(tokens=64, out_lanes=4, in_lanes=16, max_hidden=768, max_ffn=3072, max_length=128, max_groups=2)
PRAGMAS = KernelPragmas(
    loops=(LoopPragmas("engine.Passes", None), LoopPragmas("engine.Steps", 1), LoopPragmas("read_weights.Words", 2)),
    arrays={},
    dependences=(),
    parameters={"engine": ("steps", "tiles", "tile_credits", "sums")},
)


def test_an_estimate_adds_up_the_longest_path_and_says_so() -> None:
    passes, steps, words = estimated_schedules(CONFIG, PRAGMAS)
    assert (passes.ii, steps.ii, words.ii) == (0, 1, 2)
    assert steps.depth == path_cycles(steps.path) == sum(max(1, OPERATORS[name].latency_cycles) for name in steps.path)
    assert {steps.source, passes.source, words.source} == {"operator table"}


def test_more_input_lanes_deepen_the_adder_tree() -> None:
    def depth(in_lanes: int) -> int:
        return estimated_schedules(replace(CONFIG, in_lanes=in_lanes, out_lanes=1), PRAGMAS)[1].depth

    assert [depth(lanes) - depth(4) for lanes in (4, 8, 16, 32)] == [0, 1, 2, 3]


def _report(*loops: ReportedLoop) -> CsynthReport:
    exact = IntRange(1, 1)
    clock = HlsClock(target_ns=3.33, estimated_ns=2.4, uncertainty_ns=0.9)
    resources = HlsResources(lut=1, ff=1, dsp=0, bram_18k=0, uram=0)
    module = ReportedModule("engine_Pipeline_Steps", exact, 1, exact, "no", clock, resources, loops=loops)
    source = ReportSource(name="csynth.xml", sha256="0" * 64, tool="Vitis HLS", tool_version="2023.1")
    return CsynthReport("csynth_xml", source, module, modules=(module,))


def _loop(name: str, ii: int, depth: int) -> ReportedLoop:
    return ReportedLoop(
        name, None, None, IntRange(depth, depth), IntRange(ii, ii), IntRange(1, 1), pipelined=True, slack_ns=None
    )


def test_a_synthesis_report_replaces_the_loops_that_it_has() -> None:
    estimated = estimated_schedules(CONFIG, PRAGMAS)
    merged = synthesised_schedules(estimated, [_report(_loop("Steps", 2, 33))])
    assert [(item.loop, item.ii, item.depth, item.source) for item in merged][1] == ("engine.Steps", 2, 33, "csynth")
    assert (merged[0], merged[2]) == (estimated[0], estimated[2])


def test_streams_are_known_by_their_place_among_the_parameters_of_a_process() -> None:
    text = (
        "void engine(int count, hls::stream<Step>& steps,\n"
        "            hls::stream<SumRow, kSumsDepth> (&sums)[kOutLanes], read_port<Word> memory) {\n}\n"
    )
    assert parse_pragmas({"engine.cpp": text}).parameters == {"engine": ("count", "steps", "sums", "memory")}


def test_every_write_leaves_in_its_stage_and_a_pipeline_begins_with_its_first_read() -> None:
    accesses = (
        StreamStage("steps", 2, reads=True), StreamStage("tiles", 1, reads=True),
        StreamStage("tile_credits", 1, reads=False), StreamStage("sums[0]", 9, reads=False),
        StreamStage("sums[1]", 8, reads=False),
    )  # fmt: skip
    loop = LoopLatency("engine.Steps", 1, 10, "scheduled", accesses=accesses)
    calls = [each for each in timing_calls(PRAGMAS, [loop], {}) if "stage" in each.function or "read" in each.function]
    assert [(each.function.removeprefix("aebert_timing_set_"), each.arguments) for each in calls] == [
        ("stage", ("engine.Steps", 2, 1)), ("stage", ("engine.Steps", 3, 8)), ("first_read", ("engine.Steps", 1)),
    ]  # fmt: skip
    with pytest.raises(AebertError, match=r"loop engine\.Steps: commands is no parameter of engine"):
        list(timing_calls(PRAGMAS, [replace(loop, accesses=(StreamStage("commands", 0, reads=False),))], {}))


def test_latencies_count_from_what_a_loop_waits_for_until_it_leaves() -> None:
    def loop(name: str, *accesses: StreamStage) -> LoopLatency:
        return LoopLatency(name, 1, 18, "scheduled", accesses=(StreamStage("in", 1, reads=True), *accesses))

    found = scheduled_latencies(
        CONFIG,
        [loop("requantise.Vectors", StreamStage("to_layer_norm", 9, reads=False)), loop("layer_norm.Normalise")],
    )
    assert (found.requantise, found.addends, found.normalise) == (17.0, 9.0, 18.0)
    assert scheduled_latencies(CONFIG, [loop("requantise.Vectors")]).addends == 17.0


def test_a_report_keeps_stages_that_are_not_the_last() -> None:
    (steps,) = (each for each in estimated_schedules(CONFIG, PRAGMAS) if each.loop == "engine.Steps")
    known = replace(steps, accesses=(*steps.accesses, StreamStage("sums", steps.depth - 1, reads=False)))
    (merged,) = synthesised_schedules([known], [_report(_loop("Steps", 1, 33))])
    assert merged.accesses == steps.accesses == (StreamStage("tile_credits", 0, reads=False),)


def test_a_report_about_something_else_is_refused() -> None:
    with pytest.raises(AebertError, match="none of the kernel's loops is in them"):
        synthesised_schedules(estimated_schedules(CONFIG, PRAGMAS), [_report(_loop("Other", 1, 3))])


def test_a_port_alone_on_a_bank_gets_its_bandwidth() -> None:
    banks = {port: f"DDR[{min(number, 3)}]" for number, port in enumerate(PORTS)}
    traffic = dict.fromkeys(PORTS, 100)
    timings = port_timings(CONFIG, load_board("u200"), 300.0, banks, traffic)
    assert timings["weights"].words_per_cycle == 1.0  # 19.2 GB/s over 300 MHz and 64 bytes
    # Three of six lie in the last bank, but input and output are moved when nothing else is.
    assert timings["parameters"].words_per_cycle == timings["results"].words_per_cycle == 1.0
    crowded = port_timings(CONFIG, load_board("u200"), 300.0, dict.fromkeys(PORTS, "DDR[0]"), traffic)
    assert crowded["parameters"].words_per_cycle == pytest.approx(1 / 4)
    assert timings["weights"].burst_words * CONFIG.word_bytes == 4096
    faster = port_timings(CONFIG, load_board("u200"), 400.0, banks, traffic)
    assert faster["weights"].words_per_cycle == 0.75


def test_on_a_board_with_one_memory_all_ports_share_it() -> None:
    board = load_board("zcu104")
    tags = [bank.tag for bank in board.memory.banks]
    assert board.memory.shared
    banks = {port: tags[number % len(tags)] for number, port in enumerate(PORTS)}
    traffic = dict.fromkeys(PORTS, 0) | {"weights": 900, "indices": 100}
    config = replace(CONFIG, tokens=16, in_lanes=4, word_bytes=16, max_groups=8)
    timings = port_timings(config, board, 300.0, banks, traffic)
    per_cycle = board.memory.bandwidth_gb_s * 1e3 / 300.0 / config.word_bytes
    assert timings["weights"].words_per_cycle == pytest.approx(min(1.0, 0.9 * per_cycle))
    # A port that asks for little takes its turn.
    assert timings["pass_table"].words_per_cycle == pytest.approx(min(1.0, per_cycle / 4))
    assert timings["embeddings"].words_per_cycle == pytest.approx(min(1.0, per_cycle))


def test_a_result_survives_json_and_names_its_processes() -> None:
    text = (
        '{"cycles": 10, "error": "", "processes": [{"name": "a", "end": 9, "intervals": [[0, 1, 9, 1, 2, 1, 1]]}],'
        ' "streams": [], "loops": [], "ports": [], "blocked": [], "violations": []}'
    )
    result = parse_result(text)
    assert result.process("a").busy == 3
    assert result.cycles_per_pass("a") == {0: 8}
    with pytest.raises(AebertError, match="no process 'b'; there are a"):
        result.process("b")

"""HLS synthesis and co-simulation reports: every layout from 2018 on gives the numbers that are in the file."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pytest

from aebert.hls_reports import IntRange, Report, ReportError, parse_report
from aebert.hls_reports.model import CosimReport, CsynthReport, HlsResources, SynthesisSummary
from tests.support import report_samples as samples

Kind = TypeVar("Kind", bound=Report)


def parsed(folder: Path, name: str, text: str, kind: type[Kind]) -> Kind:
    file = folder / name
    file.write_text(text)
    report = parse_report(file)
    assert isinstance(report, kind)
    return report


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_the_kind_is_told_by_content_not_by_name(tmp_path: Path, name: str) -> None:
    kind, text = samples.SAMPLES[name]
    file = tmp_path / "anything.dat"
    file.write_text(text)
    assert parse_report(file).kind == kind


def test_xml_of_2018_keeps_ranges_and_undefined_values(tmp_path: Path) -> None:
    report = parsed(tmp_path, "x.xml", samples.CSYNTH_XML_2018, CsynthReport)
    module = report.module
    assert module.latency_cycles == IntRange(120, None)
    assert module.latency_average_cycles is None
    assert module.interval_cycles == IntRange(121, None)
    assert module.resources == HlsResources(lut=3300, ff=2100, dsp=17, bram_18k=3, uram=0)
    assert module.available == HlsResources(lut=53200, ff=106400, dsp=220, bram_18k=280, uram=0)
    assert (module.clock.target_ns, module.clock.estimated_ns, module.clock.uncertainty_ns) == (10.0, 8.51, 1.25)
    assert (report.source.tool, report.source.tool_version) == ("Vivado HLS", "2018.2")
    assert (report.source.part, report.source.top) == ("xc7z020-clg484-1", "engine")
    rows = module.loops[0]
    assert rows.trip_count == IntRange(0, 255)
    assert rows.latency_cycles == IntRange(None, None)
    assert rows.depth_cycles == IntRange(7, 90)
    assert not rows.pipelined
    assert rows.ii_achieved is None


def test_a_loop_labelled_like_a_field_is_still_a_loop(tmp_path: Path) -> None:
    inner = parsed(tmp_path, "x.xml", samples.CSYNTH_XML_2018, CsynthReport).module.loops[0].loops
    assert [loop.name for loop in inner] == ["Latency"]
    assert inner[0].ii_achieved == IntRange(1, 1)
    assert inner[0].depth_cycles == IntRange(4, 4)
    assert inner[0].pipelined


def test_xml_of_2024_has_modules_bind_nodes_fifos_pragmas_and_violations(tmp_path: Path) -> None:
    report = parsed(tmp_path, "x.xml", samples.CSYNTH_XML_2024, CsynthReport)
    assert report.source.tool == "Vitis HLS"
    assert report.flow_target == "vitis"
    assert report.module.throughput_cycles == IntRange(1798, 2319)
    assert [(each.name, each.module) for each in report.module.instances] == [("compute_U0", "compute")]
    compute = report.modules[0]
    assert compute.interval_cycles == IntRange(1, 520)
    assert compute.resources == HlsResources(lut=382, ff=511, dsp=48, bram_18k=4, uram=0)
    tiles = compute.loops[0]
    assert (tiles.name, tiles.slack_ns, tiles.instances) == ("Tiles", 2.43, ("grp_mac_fu_80",))
    assert (tiles.ii_achieved, tiles.trip_count) == (IntRange(8, 8), IntRange(64, 64))
    multiply, memory, addition = compute.bind_nodes
    assert (multiply.operator, multiply.implementation, multiply.latency_cycles, multiply.dsp) == (
        "mul",
        "dsp_slice",
        3,
        3,
    )
    assert (multiply.loop, multiply.source) == ("Tiles", "kernel.cpp:43")
    assert (memory.binding, memory.bram_18k, memory.storage_shape) == ("storage", 2, (32, 1024, 1))
    assert addition.latency_cycles is None
    assert [(fifo.name, fifo.depth) for fifo in report.fifos] == [("tiles_U", 64)]
    assert [(pragma.type, pragma.options) for pragma in report.pragmas] == [("pipeline", "II=1")]
    assert [(each.loop, each.kind) for each in report.violations] == [("Tiles", "Memory Dependency")]


def test_text_report_of_2018_nests_loops_by_their_marks(tmp_path: Path) -> None:
    module = parsed(tmp_path, "x.rpt", samples.CSYNTH_RPT_2018, CsynthReport).module
    assert [loop.name for loop in module.loops] == ["Rows", "Drain"]
    rows, drain = module.loops
    assert [loop.name for loop in rows.loops] == ["Columns"]
    assert [loop.name for loop in rows.loops[0].loops] == ["Lanes"]
    assert (rows.trip_count, rows.depth_cycles, rows.latency_cycles) == (
        IntRange(0, 255),
        IntRange(7, 90),
        IntRange(0, None),
    )
    columns = rows.loops[0]
    assert (columns.ii_achieved, columns.ii_target, columns.pipelined) == (IntRange(2, 2), IntRange(1, 1), True)
    assert rows.ii_achieved is None  # "-" is no II, not an unknown one
    assert drain.trip_count == IntRange(10, 10)


def test_text_report_of_2018_has_clock_without_unit_and_no_absolute_times(tmp_path: Path) -> None:
    report = parsed(tmp_path, "x.rpt", samples.CSYNTH_RPT_2018, CsynthReport)
    module = report.module
    assert (module.clock.target_ns, module.clock.estimated_ns) == (10.0, 8.51)
    assert (module.latency_cycles, module.interval_cycles) == (IntRange(120, None), IntRange(121, None))
    assert module.resources == HlsResources(lut=3300, ff=2100, dsp=17, bram_18k=3, uram=None)
    called, multiplier = module.instances
    assert (called.module, called.latency_cycles, called.pipeline_type) == ("mac", IntRange(3, 3), "function")
    assert called.resources == HlsResources(lut=1150, ff=1000, dsp=16, bram_18k=0)
    assert (multiplier.name, multiplier.latency_cycles) == ("mul_U7", None)
    assert report.flow_target is None


def test_text_report_of_2023_separates_one_slr_from_the_device(tmp_path: Path) -> None:
    report = parsed(tmp_path, "x.rpt", samples.CSYNTH_RPT_2023, CsynthReport)
    module = report.module
    assert module.latency_cycles == IntRange(262240, 262999)
    assert module.interval_cycles == IntRange(262161, 262900)
    assert module.available == HlsResources(lut=1182240, ff=2364480, dsp=6840, bram_18k=4320, uram=960)
    assert module.available_slr == HlsResources(lut=394080, ff=788160, dsp=2280, bram_18k=1440, uram=320)
    assert module.loops == ()
    assert report.flow_target == "Vitis Kernel"


def test_xml_and_text_of_the_same_run_agree(tmp_path: Path) -> None:
    xml = parsed(tmp_path, "x.xml", samples.CSYNTH_XML_2018, CsynthReport).module
    text = parsed(tmp_path, "x.rpt", samples.CSYNTH_RPT_2018, CsynthReport).module
    assert (xml.latency_cycles, xml.interval_cycles, xml.clock) == (
        text.latency_cycles,
        text.interval_cycles,
        text.clock,
    )
    assert (xml.resources.lut, xml.resources.dsp) == (text.resources.lut, text.resources.dsp)


def test_summary_report_is_a_tree_with_upper_ends_and_dash_for_none(tmp_path: Path) -> None:
    report = parsed(tmp_path, "csynth.rpt", samples.CSYNTH_SUMMARY, SynthesisSummary)
    assert (report.top.name, report.top.dataflow, report.top.latency_max_cycles) == ("encoder", True, None)
    assert report.top.resources == HlsResources(lut=376, ff=126, dsp=48, bram_18k=6, uram=0)
    load, compute = report.top.children
    assert (load.name, load.latency_max_cycles, load.resources.bram_18k) == ("load", 274, 0)
    tiles = compute.children[0]
    assert tiles.is_loop
    assert (tiles.issue, tiles.trip_count_max, tiles.interval_max_cycles, tiles.depth_max_cycles) == ("II", 9, 2, 7)
    assert tiles.resources == HlsResources()


def test_summary_report_groups_bindings_by_module(tmp_path: Path) -> None:
    report = parsed(tmp_path, "csynth.rpt", samples.CSYNTH_SUMMARY, SynthesisSummary)
    assert [group.module for group in report.bindings] == ["compute"]
    operators = [
        (node.binding, node.operator, node.implementation, node.dsp, node.bram_18k) for node in report.bindings[0].nodes
    ]
    assert operators == [
        ("op", "mul", "dsp_slice", 1, 0),
        ("op", "add", "fabric", 0, 0),
        ("storage", "ram_s2p", "auto", 0, 6),
    ]


def test_both_cosim_layouts_give_the_passing_run(tmp_path: Path) -> None:
    old = parsed(tmp_path, "engine_cosim.rpt", samples.COSIM_2019, CosimReport)
    new = parsed(tmp_path, "encoder_cosim.rpt", samples.COSIM_2022, CosimReport)
    assert old.measured is not None
    assert new.measured is not None
    assert (old.measured.latency_min, old.measured.latency_average, old.measured.latency_max) == (175, 180, 190)
    assert (old.measured.interval_max, old.measured.total_cycles) == (191, None)
    assert (new.measured.rtl, new.measured.latency_max, new.measured.interval_min) == ("Verilog", 4200, None)
    assert new.measured.total_cycles == 8300
    assert (old.source.top, new.source.top) == ("engine", "encoder")


def test_cycles_of_a_run_that_did_not_pass_are_not_a_measurement(tmp_path: Path) -> None:
    failed = samples.COSIM_2022.replace("Pass", "Fail")
    assert parsed(tmp_path, "x.rpt", failed, CosimReport).measured is None


@pytest.mark.parametrize(
    ("text", "old", "new", "said"),
    [
        (samples.CSYNTH_XML_2018, "<LUT>3300</LUT>", "<LUT>many</LUT>", "LUT: 'many' is not a count"),
        (samples.CSYNTH_XML_2018, "<LUT>3300</LUT>", "<LUT>-3</LUT>", "LUT: '-3' is not a count"),
        (samples.CSYNTH_XML_2018, "<TopModelName>engine</TopModelName>", "", "TopModelName"),
        (samples.CSYNTH_XML_2018, "<max>255</max>", "<max></max>", None),
        (samples.CSYNTH_XML_2018, "<min>7</min>", "<min>91</min>", "runs backwards"),
        (samples.CSYNTH_XML_2018, "8.510", "nan", "not a finite number"),
        (samples.CSYNTH_XML_2018, "<AreaEstimates>", "<Other>", "broken XML"),
        (samples.CSYNTH_RPT_2023, "|Total                |", "|Sum                  |", "no Total row"),
        (samples.CSYNTH_RPT_2023, "|   262240|", "|   2622x0|", "'2622x0' is not a count"),
        (samples.CSYNTH_RPT_2023, "== Utilization Estimates", "== Others", "is missing"),
        (samples.CSYNTH_SUMMARY, "|     2318|7.72e+03 |", "|     2318|", "cells, expected 14"),
        (samples.COSIM_2019, "Pass", "Maybe", "'Maybe' is not Pass, Fail or NA"),
        (samples.COSIM_2019, "            175|", "            195|", "runs backwards"),
    ],
)
def test_a_damaged_report_is_refused_with_the_place(
    tmp_path: Path, text: str, old: str, new: str, said: str | None
) -> None:
    assert old in text
    file = tmp_path / "damaged.rpt"
    file.write_text(text.replace(old, new))
    if said is None:  # an empty end of a range is an unknown end
        assert parse_report(file).kind == "csynth_xml"
        return
    with pytest.raises(ReportError, match=r"damaged\.rpt: ") as caught:
        parse_report(file)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)

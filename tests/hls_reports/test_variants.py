"""Layouts that differ by tool version, device or step, and files that only look like reports."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pytest

from aebert.hls_reports import IntRange, Report, ReportError, parse_report
from aebert.hls_reports.model import (
    CsynthReport,
    ExportReport,
    HlsLog,
    HlsResources,
    KernelUtilization,
    LinkLog,
    ProfileSummary,
    SynthesisSummary,
    TimingSummary,
    UtilizationReport,
    XclbinInfo,
)
from aebert.hls_reports.part_names import part_name, same_part
from aebert.records.from_reports import ImportContext, records_from_report
from tests.support import report_samples as samples

Kind = TypeVar("Kind", bound=Report)


def parsed(folder: Path, text: str, kind: type[Kind], name: str = "report.txt") -> Kind:
    file = folder / name
    file.write_text(text)
    report = parse_report(file)
    assert isinstance(report, kind)
    return report


def refusal(folder: Path, text: str, name: str = "report.txt") -> str:
    file = folder / name
    file.write_text(text)
    with pytest.raises(ReportError) as caught:
        parse_report(file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def without_state(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("| Design State"))


@pytest.mark.parametrize(
    ("command", "name", "state"),
    [
        ("report_timing_summary -file a_timing_summary_routed.rpt", "x.rpt", "routed"),
        ("report_timing_summary -file a_timing_summary_postroute_physopted.rpt", "x.rpt", "routed"),
        ("report_timing_summary -file out/a_timing_summary_synth.rpt", "x.rpt", "synthesised"),
        ("report_timing_summary -max_paths 10", "a_timing_summary_routed.rpt", "routed"),
        ("report_timing_summary -max_paths 10", "timing.rpt", None),
    ],
)
def test_a_timing_summary_without_a_design_state_says_its_stage_by_its_command_or_name(
    tmp_path: Path, command: str, name: str, state: str | None
) -> None:
    text = without_state(samples.TIMING_SUMMARY).replace("report_timing_summary -max_paths 10", command)
    report = parsed(tmp_path, text, TimingSummary, name)
    assert (report.state, report.wns_ns) == (state, -0.452)
    achieved = [each.clock_achieved_mhz for each in records_from_report(report, ImportContext())]
    assert achieved == ([pytest.approx(1000 / 3.785)] if state == "routed" else [])


@pytest.mark.parametrize(
    ("command", "stated", "state"),
    [
        ("report_utilization -file full_util_synthed.rpt -pb full_util_synthed.pb", "Routed", "synthesised"),
        ("report_utilization -file full_util_placed.rpt", "Routed", "placed"),
        ("report_utilization -file full_util_routed.rpt", "Fully Placed", "routed"),
        ("report_utilization", "Fully Placed", "placed"),
    ],
)
def test_the_command_says_after_which_step_a_report_was_written(
    tmp_path: Path, command: str, stated: str, state: str
) -> None:
    text = samples.UTILIZATION.replace("report_utilization -file full_util_routed.rpt", command)
    text = text.replace("Design State : Routed", f"Design State : {stated}")
    assert parsed(tmp_path, text, UtilizationReport).state == state


def test_the_kernel_table_is_read_by_its_headings(tmp_path: Path) -> None:
    lines = []
    for line in samples.KERNEL_UTILIZATION.splitlines():
        cells = line.split("|")
        if len(cells) == 9:  # Versal: REG, LUT, LUTAsMem
            cells[2:5] = cells[4], cells[2], cells[3]
        lines.append("|".join(cells))
    versal = parsed(tmp_path, "\n".join(lines), KernelUtilization)
    assert versal.kernels == parsed(tmp_path, samples.KERNEL_UTILIZATION, KernelUtilization).kernels


def test_black_boxes_are_named_and_not_counted_silently(tmp_path: Path) -> None:
    text = samples.UTILIZATION + (
        "\n10. Black Boxes\n---------------\n\n"
        "+----------+------+\n| Ref Name | Used |\n+----------+------+\n| mac_core |    2 |\n+----------+------+\n"
    )
    report = parsed(tmp_path, text, UtilizationReport)
    assert report.black_boxes == (("mac_core", 2),)
    (record,) = records_from_report(report, ImportContext())
    assert record.status == "black boxes not counted: 2 x mac_core"
    empty = text.replace("| mac_core |    2 |\n+----------+------+\n", "")
    assert parsed(tmp_path, empty, UtilizationReport).black_boxes == ()


def test_wiring_without_logic_has_a_clock_estimate_of_zero(tmp_path: Path) -> None:
    for text, kind in (
        (samples.CSYNTH_XML_2018.replace("8.510", "0.000"), CsynthReport),
        (samples.CSYNTH_RPT_2018.replace("      8.51|", "         0|"), CsynthReport),
        (samples.CSYNTH_RPT_2023.replace("2.615 ns", "    0 ns"), CsynthReport),
        (samples.CSYNTH_XML_2024.replace("2.431", "0.000"), CsynthReport),
    ):
        report = parsed(tmp_path, text, kind)
        assert report.module.clock.estimated_ns == 0.0
        assert records_from_report(report, ImportContext())[0].clock_estimated_mhz is None
    export = parsed(tmp_path, samples.EXPORT_RPT.replace("4.085", "0.000"), ExportReport, "wires_export.rpt")
    assert records_from_report(export, ImportContext())[0].clock_achieved_mhz is None
    assert "below zero" in refusal(tmp_path, samples.CSYNTH_XML_2018.replace("8.510", "-8.5"))


def test_an_interval_of_zero_above_a_known_lower_end_is_unknown(tmp_path: Path) -> None:
    text = samples.CSYNTH_RPT_2018.replace("|  120|    ?|  121|    ?|", "|  120|    ?|    2|    0|")
    assert parsed(tmp_path, text, CsynthReport).module.interval_cycles == IntRange(2, None)
    xml = samples.CSYNTH_XML_2018.replace("<Interval-max>undef", "<Interval-max>0")
    assert parsed(tmp_path, xml, CsynthReport).module.interval_cycles == IntRange(121, None)


def test_new_fields_of_a_loop_are_no_loops(tmp_path: Path) -> None:
    text = samples.CSYNTH_XML_2018.replace(
        "<PipelineDepth>4</PipelineDepth>",
        "<PipelineDepth>4</PipelineDepth><isPerfectNested>0</isPerfectNested><PerformancePragma>-</PerformancePragma>"
        "<SomethingOf2027><min>1</min></SomethingOf2027>",
    )
    rows = parsed(tmp_path, text, CsynthReport).module.loops[0]
    assert [loop.name for loop in rows.loops] == ["Latency"]
    assert rows.loops[0].loops == ()


def test_the_summary_of_2025_2_is_read_like_those_before(tmp_path: Path) -> None:
    old = parsed(tmp_path, samples.CSYNTH_SUMMARY, SynthesisSummary)
    new = parsed(tmp_path, samples.CSYNTH_SUMMARY_2025, SynthesisSummary)
    assert "Violation" in samples.CSYNTH_SUMMARY_2025
    assert (new.top, new.bindings, new.source.tool_version) == (old.top, old.bindings, "2025.2")


@pytest.mark.parametrize("text", [samples.CSYNTH_SUMMARY_2020, samples.CSYNTH_SUMMARY_2021])
def test_the_summaries_before_the_bindings_came_are_whole(tmp_path: Path, text: str) -> None:
    known = parsed(tmp_path, samples.CSYNTH_SUMMARY, SynthesisSummary)
    found = parsed(tmp_path, text, SynthesisSummary)
    assert (found.top, found.bindings) == (known.top, ())
    assert found.source.tool_version in ("2020.2", "2021.1")


def test_a_file_of_the_database_of_hls_is_named_and_its_report_asked_for(tmp_path: Path) -> None:
    said = refusal(tmp_path, samples.HLS_DATABASE, "engine.verbose.sched.rpt")
    assert "a working file of HLS: how it scheduled or bound one function; give syn/report/<f>_csynth.rpt" in said


def test_a_log_may_hold_colours_carets_and_paths_in_the_code_page_of_a_machine(tmp_path: Path) -> None:
    plain = parsed(tmp_path, samples.HLS_LOG, HlsLog, "vitis_hls.log")
    before = "\x1b[1mINFO: [HLS 200-1505]\x1b[0m Using flow_target\n   ~~~ ^\nINFO: [HLS 200-10] For user 'J\xfcrgen'\n"
    file = tmp_path / "vitis_hls.log"
    file.write_bytes((before + samples.HLS_LOG).encode("latin-1") + b"\0" * 200)
    found = parse_report(file)
    assert isinstance(found, HlsLog)
    assert found.sessions == plain.sessions
    assert [each.resources for each in found.exports] == [each.resources for each in plain.exports]


@pytest.mark.parametrize(
    "text",
    [
        samples.CSYNTH_SUMMARY,
        samples.CSYNTH_SUMMARY_2020,
        samples.CSYNTH_SUMMARY_2021,
        samples.CSYNTH_RPT_2023,
        samples.CSYNTH_RPT_2018,
    ],
)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.6, 0.75, 0.9])
def test_a_report_that_was_cut_off_is_refused(tmp_path: Path, text: str, share: float) -> None:
    assert "cut off" in refusal(tmp_path, text[: int(len(text) * share)])


@pytest.mark.parametrize("name", ["csynth.rpt", "engine_csynth.rpt", "engine_cosim.rpt", "impl_1_full_util_routed.rpt"])
def test_a_readme_that_quotes_a_report_is_no_report(tmp_path: Path, name: str) -> None:
    text = samples.SAMPLES[name][1]
    assert "quotes a report" in refusal(tmp_path, f"# Results\n\nWe got:\n\n```\n{text}\n```\n", "README.md")
    assert "quotes a report" in refusal(tmp_path, f"Results of our lab\n{text}", "notes.txt")
    assert "quotes a report" in refusal(tmp_path, f"```text\n{text}```\n", "README.md")


@pytest.mark.parametrize(
    "name",
    ["engine_csynth.rpt", "csynth.rpt", "engine_cosim.rpt", "impl_1_full_util_routed.rpt", "encoder_export.rpt"],
)
def test_reports_appended_to_each_other_are_refused(tmp_path: Path, name: str) -> None:
    text = samples.SAMPLES[name][1]
    assert "2 reports appended to each other" in refusal(tmp_path, text + text)
    if "Tool Version" in text:
        assert "2 reports appended" in refusal(tmp_path, text + samples.TIMING_SUMMARY)


@pytest.mark.parametrize(
    ("text", "speed", "name"),
    [
        ("xc7z020-clg400-1", None, "xc7z020-clg400-1"),
        ("xc7z020clg400-1", None, "xc7z020-clg400-1"),
        ("7z020-clg400", "-1  PRODUCTION 1.12 2019-11-22", "xc7z020-clg400-1"),
        ("7z020-clg400", None, "xc7z020-clg400"),
        ("XCU280-FSVH2892-2L-E", None, "xcu280-fsvh2892-2l-e"),
        ("xcvc1902-vsva2197-2MP-e-S", None, "xcvc1902-vsva2197-2mp-e-s"),
        ("xcu280", None, "xcu280"),
        ("xilinx_u280_gen3x16_xdma_base_1", None, "xilinx_u280_gen3x16_xdma_base_1"),
        (None, "-1", None),
    ],
)
def test_one_part_has_one_name(text: str | None, speed: str | None, name: str | None) -> None:
    assert part_name(text, speed) == name


def test_a_name_without_grade_or_package_can_be_the_same_part() -> None:
    assert same_part("7z020-clg400", "xc7z020-clg400-1")
    assert same_part("xcu280", "xcu280-fsvh2892-2L-e")
    assert not same_part("xc7z020-clg400-1", "xc7z020-clg484-1")
    assert not same_part("xcu28", "xcu280-fsvh2892-2L-e")


def test_export_details_give_stage_resources_and_period(tmp_path: Path) -> None:
    routed = parsed(tmp_path, samples.EXPORT_IMPL, ExportReport)
    assert routed.resources == HlsResources(lut=1500, ff=2000, dsp=64, bram_18k=12, uram=4)
    assert (routed.state, routed.required_ns, routed.post_synthesis_ns, routed.achieved_ns, routed.met) == (
        "routed",
        2.5,
        1.569,
        2.632,
        False,
    )
    assert (routed.source.part, routed.source.tool_version) == ("xcu280-fsvh2892-2l-e", "2022.1")
    synthesised = parsed(tmp_path, samples.EXPORT_SYN, ExportReport)
    assert (synthesised.state, synthesised.resources.lut, synthesised.post_synthesis_ns) == ("synthesised", 1600, 1.569)
    (record,) = records_from_report(synthesised, ImportContext(design="encoder"))
    assert (record.design, record.resource_stage, record.clock_achieved_mhz) == ("encoder", "synthesised", None)


@pytest.mark.parametrize("row", ["| Target     |", "| Target     | 2.500 | 2.600 |"])
def test_a_row_of_other_columns_in_the_periods_is_refused(tmp_path: Path, row: str) -> None:
    text = samples.EXPORT_SYN.replace("| Target     | 2.500       |", row)
    assert "a row of other columns" in refusal(tmp_path, text)


def test_the_log_of_a_session_has_its_loops_and_what_vivado_made_of_it(tmp_path: Path) -> None:
    log = parsed(tmp_path, samples.HLS_LOG, HlsLog, "vitis_hls.log")
    (session,) = log.sessions
    assert (session.top, session.part, session.target_ns, session.fmax_mhz) == (
        "encoder",
        "xcu280-fsvh2892-2l-e",
        2.5,
        345.78,
    )
    assert [(each.module, each.loop, each.ii_achieved.max, each.depth_cycles) for each in session.pipelines] == [
        ("compute_Pipeline_Tiles", "Tiles", 3, 81),
        ("mac", "", 1, 4),
    ]
    assert [(each.state, each.resources.lut, each.achieved_ns) for each in log.exports] == [
        ("synthesised", 1600, None),
        ("routed", 1500, 2.432),
    ]
    assert log.source.tool_version == "2022.1.2"
    design, tiles, mac, _, routed = records_from_report(log, ImportContext())
    assert (design.source, design.design, design.clock_estimated_mhz) == ("csynth", "encoder", 345.78)
    assert (tiles.scope, tiles.module, tiles.loop, tiles.initiation_interval, tiles.pipeline_depth) == (
        "loop",
        "compute_Pipeline_Tiles",
        "Tiles",
        3,
        81,
    )
    assert (mac.scope, mac.module, mac.loop) == ("loop", "mac", None)
    assert (routed.source, routed.design, routed.lut, routed.resource_stage) == ("hw", "encoder", 1500, "routed")
    assert routed.clock_achieved_mhz == pytest.approx(1000 / 2.432)


def test_a_log_that_finished_nothing_is_refused(tmp_path: Path) -> None:
    assert "without a finished synthesis" in refusal(tmp_path, samples.HLS_LOG.partition("INFO: [HLS 200-789]")[0])


def test_the_information_of_a_bitstream_has_the_clock_that_was_reached(tmp_path: Path) -> None:
    info = parsed(tmp_path, samples.XCLBIN_INFO, XclbinInfo, "encoder.xclbin.info")
    assert (info.data_mhz, info.requested_mhz) == (272, 300)
    assert (info.source.top, info.source.part) == ("encoder", "xilinx_u280_gen3x16_xdma_base_1")
    (record,) = records_from_report(info, ImportContext())
    assert (record.source, record.design) == ("hw", "encoder")
    assert (record.clock_asked_mhz, record.clock_achieved_mhz) == (300, 272)
    assert isinstance(parsed(tmp_path, samples.LINK_LOG, LinkLog), LinkLog)


def test_a_profile_of_native_calls_alone_is_read_and_holds_no_kernel_time(tmp_path: Path) -> None:
    profile = parsed(tmp_path, samples.NATIVE_PROFILE, ProfileSummary, "summary.csv")
    assert (profile.flow, profile.kernels, profile.compute_units) == ("hw", (), ())
    assert [(call.name, call.timings.calls, call.timings.max_ms) for call in profile.calls] == [
        ("xrt::bo::bo", 4, 0.2),
        ("xrt::run::wait", 2, 3.3),
    ]
    assert records_from_report(profile, ImportContext()) == ()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("encoder.xclbin.run_summary", '{"version": "1.1"}', "give the reports it lists"),
        ("encoder.link_summary", '{"version": "1.1"}', "give the reports it lists"),
        ("design_1.hwh", "<EDKSYSTEM/>", "hardware handoff"),
        ("dump.vcd", "$date today $end\n", "waveform trace; give <f>_cosim.rpt"),
        ("native_trace.csv", "HEADER\nVP,1\n", "event trace of XRT for the Vitis analyzer; give summary.csv"),
        ("x.csv", "HEADER\nVersion,1.0\nSTRUCTURE\nGroup_Start,Native API Host Trace\n", "event trace of XRT"),
    ],
)
def test_files_beside_reports_say_what_to_give_instead(tmp_path: Path, name: str, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text, name)

"""Vivado, v++, XRT reports and published tables: units kept straight, hardware told from emulation."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pytest

from aebert.hls_reports import Report, ReportError, parse_report
from aebert.hls_reports.model import (
    AcceleratorMonitor,
    ClockUtilization,
    ExportReport,
    HierarchicalUtilization,
    HlsResources,
    KernelUtilization,
    LinkLog,
    ProfileSummary,
    ResultsTable,
    SiteUsage,
    TimingSummary,
    UtilizationReport,
)
from tests.support import report_samples as samples

Kind = TypeVar("Kind", bound=Report)


def parsed(folder: Path, text: str, kind: type[Kind], name: str = "report.txt") -> Kind:
    file = folder / name
    file.write_text(text)
    report = parse_report(file)
    assert isinstance(report, kind)
    return report


def test_kernel_utilization_counts_ramb36_tiles_and_halves(tmp_path: Path) -> None:
    report = parsed(tmp_path, samples.KERNEL_UTILIZATION, KernelUtilization)
    kernel, unit = report.kernels
    assert (kernel.name, kernel.depth, unit.name, unit.depth) == ("encoder", 0, "encoder_1", 1)
    assert kernel.usage == SiteUsage(lut=151109, ff=182081, dsp=802, bram_36k=77.5, uram=12)
    assert kernel.usage.bram_18k == 155
    assert report.platform is not None
    assert report.platform.lut == 121610
    assert report.state == "placed"
    assert (report.source.tool, report.source.tool_version) == ("Vivado", "2022.1.2")


def test_utilization_reads_every_site_type_table(tmp_path: Path) -> None:
    report = parsed(tmp_path, samples.UTILIZATION, UtilizationReport)
    assert report.usage == SiteUsage(lut=272719, ff=347355, dsp=806, bram_36k=1374.5, uram=12)
    assert report.available == SiteUsage(lut=1303680, ff=2607360, dsp=9024, bram_36k=2016, uram=960)
    assert report.usage.bram_18k == 2 * 1327 + 95  # the report's own RAMB36 and RAMB18 rows
    assert report.state == "routed"


def test_versal_calls_its_flip_flops_registers_and_an_older_device_its_slices(tmp_path: Path) -> None:
    """Rows of AMD's report_utilization for Versal (2022.2: "Registers", "DSP Slices") and for 7 series."""
    versal = samples.UTILIZATION.replace("| CLB Registers ", "| Registers     ").replace("| DSPs      ", "| DSP Slices")
    report = parsed(tmp_path, versal, UtilizationReport)
    assert report.usage == SiteUsage(lut=272719, ff=347355, dsp=806, bram_36k=1374.5, uram=12)
    series7 = samples.UTILIZATION.replace("| CLB LUTs*  ", "| Slice LUTs*").replace(
        "| CLB Registers  ", "| Slice Registers"
    )
    assert parsed(tmp_path, series7, UtilizationReport).usage == report.usage


def test_of_tables_with_the_same_row_the_first_wins(tmp_path: Path) -> None:
    """Later tables repeat rows for a part of the design (primitives, a partition)."""
    first = samples.UTILIZATION.replace("|  806 |     4 |", "|  801 |     4 |")
    arithmetic = samples.UTILIZATION[samples.UTILIZATION.index("4. ARITHMETIC") :]
    report = parsed(tmp_path, first + "\n" + arithmetic, UtilizationReport)
    assert report.usage.dsp == 801
    assert report.available.dsp == 9024


def test_slr_utilization_gives_every_region_and_their_sum(tmp_path: Path) -> None:
    report = parsed(tmp_path, samples.SLR_UTILIZATION, UtilizationReport)
    assert [each.slr for each in report.slrs] == ["SLR0", "SLR1", "SLR2"]
    assert report.slrs[1].usage == SiteUsage(lut=137288, ff=157818, dsp=437, bram_36k=550, uram=0)
    assert report.usage == SiteUsage(lut=272719, ff=347355, dsp=806, bram_36k=1374.5, uram=12)


def test_hierarchical_utilization_counts_a_lone_ramb18_as_half_a_tile(tmp_path: Path) -> None:
    report = parsed(tmp_path, samples.HIERARCHICAL_UTILIZATION, HierarchicalUtilization)
    assert [(row.instance, row.depth) for row in report.rows] == [("bd_0_wrapper", 0), ("hls_inst", 1), ("mac_U3", 2)]
    top = report.rows[0]
    assert (top.lut, top.logic_lut, top.lutram, top.srl) == (142, 120, 12, 10)
    assert top.usage == SiteUsage(lut=142, ff=38, dsp=3, bram_36k=3.5, uram=1)
    assert report.state == "synthesised"


def test_timing_summary_gives_the_period_the_routed_paths_allow(tmp_path: Path) -> None:
    report = parsed(tmp_path, samples.TIMING_SUMMARY, TimingSummary)
    assert (report.wns_ns, report.tns_ns, report.whs_ns, report.failing_endpoints) == (-0.452, -577.747, 0.07, 5806)
    assert report.met is False
    used, idle = report.clocks
    assert (used.name, used.period_ns, used.frequency_mhz) == ("ap_clk", 3.333, 300.03)
    assert used.achieved_ns == pytest.approx(3.785)
    assert idle.achieved_ns is None  # no path of its own


def test_clock_utilization_lists_global_clocks(tmp_path: Path) -> None:
    report = parsed(tmp_path, samples.CLOCK_UTILIZATION, ClockUtilization)
    assert [(clock.name, clock.period_ns, clock.loads) for clock in report.clocks] == [("clk_fpga_0", 12.999, 13392)]


def test_link_log_reports_the_clock_of_the_last_attempt(tmp_path: Path) -> None:
    report = parsed(tmp_path, samples.LINK_LOG, LinkLog)
    assert report.data_mhz == 154
    assert {clock.role: clock.achieved_mhz for clock in report.clocks} == {"SYSTEM": 450, "DATA": 154, "KERNEL": 500}
    assert (report.source.tool, report.source.tool_version) == ("v++", "2021.1")
    assert report.source.part == "xilinx_u280_xdma_201920_3"  # the platform, without the folder it was in


def test_link_log_of_sdaccel_reads_the_same(tmp_path: Path) -> None:
    report = parsed(tmp_path, samples.LINK_LOG.replace("[v++ ", "[XOCC "), LinkLog)
    assert (report.data_mhz, report.source.tool) == (154, "xocc")


def test_unfinished_link_log_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "link.log"
    file.write_text("\n".join(line for line in samples.LINK_LOG.splitlines() if "60-1230" not in line))
    with pytest.raises(ReportError, match="without message 60-1230"):
        parse_report(file)


def test_profile_summary_of_a_board_run(tmp_path: Path) -> None:
    report = parsed(tmp_path, samples.PROFILE_SUMMARY, ProfileSummary)
    assert (report.flow, report.device) == ("hw", "xilinx_u280_gen3x16_xdma_base_1-1")
    kernel, unit = report.kernels[0], report.compute_units[0]
    assert (kernel.kernel, kernel.timings.calls, kernel.timings.min_ms, kernel.timings.max_ms) == (
        "encoder",
        4,
        2.0,
        2.3,
    )
    assert (unit.compute_unit, unit.timings.average_ms, unit.clock_mhz) == ("encoder_1", 2.0, 154)
    read, write = report.transfers
    assert (read.direction, read.rate_mb_per_s, read.total_ms) == ("READ", 574.653, 0.06415)
    assert (write.transfers, write.rate_mb_per_s, write.total_ms) == (2, None, None)
    assert report.source.tool_version == "2.13.479"


@pytest.mark.parametrize(
    ("mode", "flow"), [("Hardware Emulation", "hw_emu"), ("Software Emulation", "sw_emu"), ("Unknown", None)]
)
def test_only_system_run_is_hardware(tmp_path: Path, mode: str, flow: str | None) -> None:
    text = samples.PROFILE_SUMMARY.replace("System Run", mode)
    text = text.replace("\nKernel Execution\n", "\nKernel Execution (includes estimated device time)\n")
    assert parsed(tmp_path, text, ProfileSummary).flow == flow


def test_kernel_profile_of_the_rtl_simulator_is_hardware_emulation(tmp_path: Path) -> None:
    report = parsed(tmp_path, samples.EMULATION_PROFILE, ProfileSummary)
    assert report.flow == "hw_emu"
    assert (report.compute_units[0].kernel, report.compute_units[0].timings.average_ms) == ("encoder", 270.842 / 1000)


def test_profile_without_a_finished_kernel_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "summary.csv"
    lines = [line for line in samples.PROFILE_SUMMARY.splitlines() if not line.startswith(("encoder,", "xilinx_u280"))]
    file.write_text("\n".join(lines))
    with pytest.raises(ReportError, match="no kernel execution"):
        parse_report(file)


def test_accelerator_monitor_counts_are_hexadecimal_with_or_without_prefix(tmp_path: Path) -> None:
    unit = parsed(tmp_path, samples.ACCELERATOR_MONITOR, AcceleratorMonitor).units[0]
    assert (unit.compute_unit, unit.ends, unit.starts) == ("encoder_1", 2, 3)
    assert (unit.execution_cycles, unit.min_execution_cycles, unit.max_execution_cycles) == (500, 240, 260)
    assert unit.memory_stall_cycles == 16


def test_export_report_counts_block_ram_in_ramb18(tmp_path: Path) -> None:
    report = parsed(tmp_path, samples.EXPORT_RPT, ExportReport, "encoder_export.rpt")
    assert report.resources == HlsResources(lut=42, ff=38, dsp=3, bram_18k=5, uram=0)
    assert (report.required_ns, report.post_synthesis_ns, report.achieved_ns, report.met) == (10.0, 3.884, 4.085, True)
    assert (report.state, report.source.top, report.source.tool_version) == ("routed", "encoder", "2024.1")


def test_export_report_before_2020_has_a_single_achieved_period(tmp_path: Path) -> None:
    old = ("Implementation tool: Xilinx Vivado v.2018.2", "#=== Resource usage ===", "LUT: 10", "CP required: 5.0")
    report = parsed(tmp_path, "\n".join((*old, "CP achieved: 4.5", "Timing met", "")), ExportReport)
    assert (report.achieved_ns, report.required_ns, report.source.tool_version) == (4.5, 5.0, "2018.2")


def test_export_xml_reads_like_the_text(tmp_path: Path) -> None:
    report = parsed(tmp_path, samples.EXPORT_XML, ExportReport)
    assert report.resources == HlsResources(lut=1500, ff=2000, dsp=64, bram_18k=12, uram=4)
    assert (report.achieved_ns, report.met, report.state, report.source.tool_version) == (
        3.512,
        False,
        "routed",
        "2022.2",
    )


def test_a_table_keeps_cosim_and_csynth_apart_and_minus_one_is_no_result(tmp_path: Path) -> None:
    rows = parsed(tmp_path, samples.STREAM_TABLE, ResultsTable).rows
    assert [(row.design, row.origin, row.cycles, row.status) for row in rows] == [
        ("3mm Opt1", "cosim", 638, "Pass"),
        ("3mm Opt1", "csynth", 636, None),
        ("atax POM", "cosim", None, "Fail"),
        ("atax POM", "csynth", None, None),
    ]
    assert rows[1].resources == HlsResources(lut=4043, ff=3600, dsp=16, bram_18k=522, uram=0)
    assert rows[3].resources == HlsResources()


def test_a_board_table_turns_ramb36_tiles_into_ramb18(tmp_path: Path) -> None:
    first, second = parsed(tmp_path, samples.BOARD_TABLE, ResultsTable).rows
    assert (first.board, first.cycles, first.latency_ms, first.clock_ns) == ("U250", 2725, 0.0109, 4.0)
    assert first.resources == HlsResources(lut=250679, ff=430512, dsp=1224, bram_18k=188, uram=24)
    assert (second.cycles, second.resources, second.workload) == (
        None,
        HlsResources(),
        "dtype=fp32 M=128 N=128 K_or_NNZ=128",
    )


@pytest.mark.parametrize(
    ("text", "old", "new", "said"),
    [
        (samples.KERNEL_UTILIZATION, "77.5 [", "77.3 [", "'77.3' is not a number of RAMB36 tiles"),
        (samples.UTILIZATION, "Routed", "Imagined", "Design State 'Imagined'"),
        (samples.UTILIZATION, "CLB LUTs*", "CLB Things", "no table with a LUT row"),
        (samples.HIERARCHICAL_UTILIZATION, "RAMB18", "RAMB99", "no column 'RAMB18'"),
        (samples.TIMING_SUMMARY, "     -0.452     -577.747", "     -0.4x2     -577.747", "'-0.4x2' is not a number"),
        (samples.CLOCK_UTILIZATION, "12.999", "-1", "'-1' is not above zero"),
        (samples.PROFILE_SUMMARY, "encoder,4,8.4,2.0", "encoder,4,8.4,fast", "Minimum Time (ms): 'fast'"),
        (samples.PROFILE_SUMMARY, "encoder,4,8.4,2.0,2.1,2.3,", "encoder,4,8.4,", "row with 3 cells, expected 6"),
        (samples.ACCELERATOR_MONITOR, "0x1f4", "0x1g4", "'0x1g4' is not a hexadecimal cycle count"),
        (samples.EXPORT_RPT, "LUT:             42", "LUT:             all", "'all' is not a count"),
        (samples.LINK_LOG, "= 154", "= slow", "'slow' is not a number"),
        (samples.STREAM_TABLE, "Opt1,3mm,Pass,638", "Opt1,3mm,Pass,6e2", "'6e2' is not a count"),
    ],
)
def test_a_damaged_report_is_refused_with_the_place(tmp_path: Path, text: str, old: str, new: str, said: str) -> None:
    assert old in text
    file = tmp_path / "damaged.rpt"
    file.write_text(text.replace(old, new))
    with pytest.raises(ReportError) as caught:
        parse_report(file)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)

"""What each report is evidence of: source, scope, stage, units and provenance of the records it gives."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from aebert.hls_reports import parse_report
from aebert.records.from_reports import ImportContext, records_from_report
from aebert.records.import_files import read_files
from aebert.records.record import RunRecord
from aebert.support.errors import AebertError
from tests.support import report_samples as samples


def records(folder: Path, name: str, text: str, context: ImportContext | None = None) -> tuple[RunRecord, ...]:
    file = folder / name
    file.write_text(text)
    return records_from_report(parse_report(file), context or ImportContext())


def test_synthesis_gives_the_design_and_every_module_as_estimates(tmp_path: Path) -> None:
    design, module, tiles = records(tmp_path, "csynth.xml", samples.CSYNTH_XML_2024)
    assert (design.source, design.scope, design.design, design.module) == ("csynth", "design", "encoder", None)
    assert (design.cycles_min, design.cycles, design.cycles_max) == (1797, 2058, 2318)
    assert (design.lut, design.bram_18k, design.resource_stage) == (3862, 6, "estimated")
    assert design.clock_asked_mhz == pytest.approx(300.3003)
    assert design.clock_estimated_mhz == pytest.approx(1000 / 2.431)
    assert design.clock_achieved_mhz is None  # a schedule achieves nothing
    assert (module.scope, module.design, module.module, module.cycles_max) == ("module", "encoder", "compute", 520)
    assert (tiles.scope, tiles.module, tiles.loop, tiles.trip_count) == ("loop", "compute", "Tiles", 64)
    assert (tiles.initiation_interval, tiles.pipeline_depth, tiles.lut) == (8, 9, None)
    assert tiles.clock_estimated_mhz == pytest.approx(1000 / 2.431)


def test_provenance_goes_into_every_record(tmp_path: Path) -> None:
    digest = hashlib.sha256(samples.CSYNTH_XML_2024.encode()).hexdigest()
    for record in records(tmp_path, "csynth.xml", samples.CSYNTH_XML_2024):
        assert (record.tool, record.tool_version, record.part) == ("Vitis HLS", "2024.1", "xcu200-fsgd2104-2-e")
        assert (record.report_kind, record.report_name, record.report_sha256) == ("csynth_xml", "csynth.xml", digest)


def test_what_the_importer_knows_is_added(tmp_path: Path) -> None:
    context = ImportContext(design="mine", board="u200", sequence_length=128, measured_by="me", design_digest="d" * 64)
    (record,) = records(tmp_path, "encoder_cosim.rpt", samples.COSIM_2022, context)
    assert (record.design, record.board, record.sequence_length) == ("mine", "u200", 128)
    assert (record.measured_by, record.design_digest) == ("me", "d" * 64)


def test_an_undefined_latency_stays_unknown(tmp_path: Path) -> None:
    record, _ = records(tmp_path, "x.xml", samples.CSYNTH_XML_2018)
    assert (record.cycles_min, record.cycles, record.cycles_max) == (120, None, None)


def test_summary_gives_modules_once_and_no_loops(tmp_path: Path) -> None:
    found = records(tmp_path, "csynth.rpt", samples.CSYNTH_SUMMARY)
    assert [(record.module, record.cycles_max) for record in found] == [(None, None), ("load", 274), ("compute", 2318)]


def test_only_a_passing_cosim_is_a_record(tmp_path: Path) -> None:
    (record,) = records(tmp_path, "engine_cosim.rpt", samples.COSIM_2019)
    assert (record.source, record.cycles_min, record.cycles, record.cycles_max) == ("cosim", 175, 180, 190)
    assert record.status == "Pass (Verilog)"
    assert records(tmp_path, "engine_cosim.rpt", samples.COSIM_2019.replace("Pass", "Fail")) == ()


def test_utilization_is_recorded_in_ramb18_with_its_stage(tmp_path: Path) -> None:
    kernel, unit = records(tmp_path, "k.rpt", samples.KERNEL_UTILIZATION)
    assert (kernel.source, kernel.scope, kernel.design, kernel.module) == ("hw", "kernel", "encoder", None)
    assert (kernel.bram_18k, kernel.resource_stage, kernel.cycles, kernel.latency_ms) == (155, "placed", None, None)
    assert (unit.scope, unit.design, unit.module) == ("compute_unit", "encoder", "encoder_1")
    (chip,) = records(tmp_path, "u.rpt", samples.UTILIZATION)
    assert (chip.scope, chip.bram_18k, chip.resource_stage) == ("system", 2749, "routed")
    rows = records(tmp_path, "h.rpt", samples.HIERARCHICAL_UTILIZATION)
    assert [(row.scope, row.module, row.bram_18k) for row in rows] == [
        ("system", None, 7),
        ("module", "hls_inst", 7),
        ("module", "mac_U3", 1),
    ]


def test_achieved_clock_comes_from_routing_only(tmp_path: Path) -> None:
    (routed,) = records(tmp_path, "t.rpt", samples.TIMING_SUMMARY)
    assert routed.clock_achieved_mhz == pytest.approx(1000 / 3.785)
    assert (routed.module, routed.status) == ("ap_clk", "timing not met")
    assert records(tmp_path, "t.rpt", samples.TIMING_SUMMARY.replace(": Routed", ": Synthesized")) == ()
    (linked,) = records(tmp_path, "link.log", samples.LINK_LOG)
    assert (linked.source, linked.clock_achieved_mhz) == ("hw", 154)
    (exported,) = records(tmp_path, "encoder_export.rpt", samples.EXPORT_RPT)
    assert exported.clock_achieved_mhz == pytest.approx(1000 / 4.085)
    assert (exported.clock_asked_mhz, exported.bram_18k, exported.resource_stage) == (100, 5, "routed")
    synthesised = samples.EXPORT_RPT.replace("Post-Implementation", "Post-Synthesis")
    synthesised = synthesised.replace("CP achieved post-implementation: 4.085\n", "")
    (early,) = records(tmp_path, "encoder_export.rpt", synthesised)
    assert (early.clock_achieved_mhz, early.resource_stage) == (None, "synthesised")


def test_board_runs_emulations_and_software_are_told_apart(tmp_path: Path) -> None:
    kernel, unit = records(tmp_path, "summary.csv", samples.PROFILE_SUMMARY)
    assert (kernel.source, kernel.scope, kernel.latency_ms, kernel.runs) == ("hw", "kernel", 2.1, 4)
    assert (kernel.latency_min_ms, kernel.latency_max_ms) == (2.0, 2.3)
    assert (unit.scope, unit.latency_ms, unit.clock_achieved_mhz) == ("compute_unit", 2.0, 154)
    emulated = samples.PROFILE_SUMMARY.replace("System Run", "Hardware Emulation")
    assert {record.source for record in records(tmp_path, "summary.csv", emulated)} == {"hw_emu"}
    for mode in ("Software Emulation", "Unknown"):
        assert records(tmp_path, "summary.csv", samples.PROFILE_SUMMARY.replace("System Run", mode)) == ()


def test_monitor_counters_become_mean_cycles_per_run(tmp_path: Path) -> None:
    (record,) = records(tmp_path, "debug.txt", samples.ACCELERATOR_MONITOR)
    assert (record.cycles_min, record.cycles, record.cycles_max, record.runs) == (240, 250, 260, 2)
    assert (record.design, record.module) == ("encoder", "encoder_1")


def test_tables_are_published_figures_whatever_they_claim(tmp_path: Path) -> None:
    found = records(tmp_path, "t.csv", samples.STREAM_TABLE)
    assert {record.source for record in found} == {"published"}
    assert [record.status for record in found] == ["cosim Pass", "csynth", "cosim Fail", "csynth"]
    assert [record.resource_stage for record in found] == [None, "estimated", None, None]


def test_a_folder_names_the_design_of_its_modules(tmp_path: Path) -> None:
    folder = tmp_path / "syn" / "report"
    folder.mkdir(parents=True)
    (folder / "csynth.rpt").write_text(samples.CSYNTH_SUMMARY)
    (folder / "load_csynth.rpt").write_text(samples.CSYNTH_RPT_2023.replace("'encoder'", "'load'"))
    (folder / "encoder_csynth.rpt").write_text(samples.CSYNTH_RPT_2023)
    found = read_files([tmp_path], ImportContext())
    text = {
        record.report_name: (record.design, record.module)
        for record in found.records
        if record.report_kind == "csynth_rpt"
    }
    assert text == {"load_csynth.rpt": ("encoder", "load"), "encoder_csynth.rpt": ("encoder", None)}


def test_a_folder_may_hold_anything_but_a_named_file_must_be_a_report(tmp_path: Path) -> None:
    (tmp_path / "engine_cosim.rpt").write_text(samples.COSIM_2019)
    (tmp_path / "failed_cosim.rpt").write_text(samples.COSIM_2019.replace("Pass", "Fail"))
    (tmp_path / "kernel.cpp").write_text("int main() {}")
    (tmp_path / ".hidden").write_text("nothing")
    (tmp_path / "link.rpt").symlink_to(tmp_path / "engine_cosim.rpt")
    found = read_files([tmp_path], ImportContext())
    assert (len(found.records), found.used) == (1, 1)
    assert [file.name for file in found.without_facts] == ["failed_cosim.rpt"]
    assert len(found.refused) == 1
    assert "kernel.cpp: not a report of a known kind" in found.refused[0]
    with pytest.raises(AebertError, match=r"kernel.cpp: not a report of a known kind"):
        read_files([tmp_path / "kernel.cpp"], ImportContext())


def test_the_same_file_elsewhere_is_the_same_fact(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "engine_cosim.rpt").write_text(samples.COSIM_2019)
    first, second = read_files([tmp_path], ImportContext()).records
    assert first == second


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_every_kind_of_report_gives_valid_records(tmp_path: Path, name: str) -> None:
    kind, text = samples.SAMPLES[name]
    found = records(tmp_path, name, text, ImportContext(board="u280"))
    assert bool(found) == (kind != "clock_utilization" and name != "native_summary.csv")
    assert {record.board for record in found} <= {"u280"}

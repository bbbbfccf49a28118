"""block_design.tcl is Tcl, and connects every port of the kernel to the bank that the manifest names; Vivado's commands
are recorded and not run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from aebert.design.board import Board, load_board
from aebert.support.errors import AebertError
from codegen.manifest import register_map
from codegen.placement import place_compute_units
from codegen.project_text import project_files
from codegen.register_map import CONTROL_BITS, register_table
from codegen.render import ports
from host.devices.protocol import register_writes
from host.emulated.board_process import CONTINUE, DONE, IDLE, START
from tests.support.paths import ROOT
from tests.support.small_project import SMALL_CONFIG

KERNEL = "aebert_kernel_1"
# What Vivado has to run (UG835); anything else in the script would be a misspelling.
VIVADO = [
    "add_files",
    "apply_bd_automation",
    "assign_bd_address",
    "connect_bd_intf_net",
    "connect_bd_net",
    "create_bd_cell",
    "create_bd_design",
    "create_project",
    "current_fileset",
    "current_project",
    "get_bd_intf_pins",
    "get_bd_pins",
    "get_board_parts",
    "get_files",
    "get_ipdefs",
    "get_property",
    "get_runs",
    "launch_runs",
    "make_wrapper",
    "open_run",
    "report_timing_summary",
    "report_utilization",
    "save_bd_design",
    "set_property",
    "update_ip_catalog",
    "validate_bd_design",
    "wait_on_run",
]
STUBS = """
proc record {name arguments} { puts "$name $arguments" }
foreach name {%s} {
  proc $name args "record $name \\$args; return \\[lindex \\$args end\\]"
}
proc create_bd_cell args { record create_bd_cell $args; return [lindex $args end] }
proc get_board_parts args { return "" }
proc get_property {name object} { return [dict get {PROGRESS 100%% STATUS done VLNV vlnv} \\
  [expr {$name in {PROGRESS STATUS VLNV} ? $name : "STATUS"}]] }
source %s
"""


def vivado_board(family: str) -> Board:
    """The board of that family that ships without a platform."""
    return load_board("pynq-z2" if family == "Zynq-7000" else "aup-zu3")


def run_script(directory: Path, board: Board) -> subprocess.CompletedProcess[str]:
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        pytest.skip("tclsh is not installed")
    script = directory / "block_design.tcl"
    script.write_text(project_files(SMALL_CONFIG, board, 100.0, 1)["block_design.tcl"])
    (directory / "stubs.tcl").write_text(STUBS % (" ".join(VIVADO), script))
    return subprocess.run(
        [tclsh, str(directory / "stubs.tcl")], capture_output=True, text=True, timeout=60, check=False
    )


def prepare(directory: Path) -> None:
    """What stands in a project when the script runs, and what Vivado leaves for it to copy."""
    (directory / "manifest.json").write_text(json.dumps({"design_digest": "0123456789abcdef" * 4}))
    runs = directory / "build" / "vivado" / "aebert_kernel.runs" / "impl_1"
    handoff = directory / "build/vivado/aebert_kernel.gen/sources_1/bd/aebert_kernel_design/hw_handoff"
    for folder in (runs, handoff):
        folder.mkdir(parents=True)
    (directory / "build" / "aebert_kernel.zip").write_bytes(b"")
    (runs / "aebert_kernel_design_wrapper.bit").write_bytes(b"bit")
    (handoff / "aebert_kernel_design.hwh").write_bytes(b"hwh")


def connections(output: str, command: str) -> list[tuple[str, str]]:
    found = re.findall(rf"^{command} (\S+) (\S+)$", output, re.MULTILINE)
    return [(str(source), str(target)) for source, target in found]


@pytest.mark.parametrize("family", ["Zynq-7000", "Zynq UltraScale+"])
def test_every_port_reaches_the_bank_of_the_manifest_over_an_interconnect_of_its_own_input(
    family: str, tmp_path: Path
) -> None:
    board = vivado_board(family)
    prepare(tmp_path)
    ran = run_script(tmp_path, board)
    assert ran.returncode == 0, ran.stderr
    wires = connections(ran.stdout, "connect_bd_intf_net")
    banks = dict(place_compute_units(SMALL_CONFIG, board, 1)[0].banks)
    upstream = {source.split("/")[0]: target for source, target in wires if source.endswith("/M00_AXI")}
    for port in ports(SMALL_CONFIG):
        (into,) = [target for source, target in wires if source == f"{KERNEL}/m_axi_{port.bundle}"]
        suffix = "_FPD" if family == "Zynq UltraScale+" else ""
        assert upstream[into.split("/")[0]] == f"processor/S_AXI_{banks[port.name]}{suffix}"
    ends = [end for wire in wires for end in wire]
    assert len(ends) == len(set(ends)), "an interface takes one wire"
    assert upstream["control"] == f"{KERNEL}/s_axi_control"


@pytest.mark.parametrize("family", ["Zynq-7000", "Zynq UltraScale+"])
def test_interconnects_have_as_many_inputs_as_wires_and_all_cells_have_clock_and_reset(
    family: str, tmp_path: Path
) -> None:
    prepare(tmp_path)
    output = run_script(tmp_path, vivado_board(family)).stdout
    wires = connections(output, "connect_bd_intf_net")
    asked = re.findall(r"^set_property -dict \{CONFIG.NUM_SI (\d+) CONFIG.NUM_MI 1\} (\w+)$", output, re.MULTILINE)
    for count, cell in asked:
        inputs = [target for _, target in wires if target.startswith(f"{cell}/S")]
        assert sorted(inputs) == [f"{cell}/S{number:02}_AXI" for number in range(int(count))]
    driven = {target for _, target in connections(output, "connect_bd_net")}
    cells = [cell for _, cell in asked]
    assert driven >= {f"{KERNEL}/ap_clk", f"{KERNEL}/ap_rst_n", "reset/ext_reset_in"}
    assert driven >= {f"{cell}/{pin}" for cell in cells for pin in ("aclk", "aresetn")}
    used = [end for wire in wires for end in wire if end.startswith("processor/")]
    clocks = {pin.upper().replace("SAXI", "S_AXI_").replace("MAXI", "M_AXI_") for pin in driven if "processor/" in pin}
    assert {f"{port.upper()}_ACLK" for port in used} == clocks


def test_the_bitstream_says_its_design_and_lies_where_the_host_looks(tmp_path: Path) -> None:
    prepare(tmp_path)
    run_script(tmp_path, vivado_board("Zynq-7000"))
    constraint = (tmp_path / "build" / "vivado" / "design_id.xdc").read_text()
    assert "BITSTREAM.CONFIG.USERID 0x01234567 [current_design]" in constraint
    assert (tmp_path / "bitstream" / "aebert_kernel.bit").read_bytes() == b"bit"
    assert (tmp_path / "bitstream" / "aebert_kernel.hwh").read_bytes() == b"hwh"


def test_without_the_ip_it_says_how_to_make_it(tmp_path: Path) -> None:
    ran = run_script(tmp_path, vivado_board("Zynq-7000"))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "run 'make ip' first" in ran.stderr


def test_a_board_that_no_block_design_is_known_for_is_refused() -> None:
    alveo = replace(load_board("u200"), flow="vivado", platform=None)
    with pytest.raises(AebertError, match="board u200: no block design for UltraScale"):
        project_files(SMALL_CONFIG, alveo, 100.0, 1)


def test_the_register_table_is_what_the_host_writes_and_the_emulated_board_reads() -> None:
    bits = {bit.name: 1 << bit.bit for bit in CONTROL_BITS if bit.offset == 0}
    assert (bits["ap_start"], bits["ap_done"], bits["ap_idle"], bits["ap_continue"]) == (START, DONE, IDLE, CONTINUE)
    rows = re.findall(r"^\| \d+ \| \w+ \| (0x\w+)(?: low, (0x\w+) high)? ", register_table(), re.MULTILINE)
    shown = [int(offset, 16) for row in rows for offset in row if offset]
    written = [offset for offset, _ in register_writes(register_map(), [0] * len(register_map()))]
    assert shown == written


@pytest.mark.parametrize("board", ["pynq-z2", "u200"])
def test_readme_and_docs_have_the_register_table(board: str) -> None:
    assert register_table() in project_files(SMALL_CONFIG, load_board(board), 100.0, 1)["README.md"]
    assert register_table() in (ROOT / "docs" / "register_map.md").read_text()

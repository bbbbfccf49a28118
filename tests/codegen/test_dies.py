"""A design over several dies says which process lies where, and the script that tells Vivado stands in the project."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from aebert.design.board import load_board
from aebert.design.kernel_streams import ENGINE_PROCESSES, PROCESSES
from codegen.placement import place_compute_units
from codegen.project_text import project_files
from tests.support.projects import DIES_DESIGN
from tests.support.small_project import SMALL_CONFIG


def test_every_process_lies_on_a_die_and_an_engines_units_beside_it() -> None:
    (unit,) = place_compute_units(DIES_DESIGN, load_board("u200"), 1)
    dies = dict(unit.dies)
    assert unit.slr is None
    assert len(dies) == len(unit.dies) == len(PROCESSES) + 7 * len(ENGINE_PROCESSES)
    for number in range(8):
        suffix = f"_{number}" if number else ""
        assert len({dies[name + suffix] for name in ENGINE_PROCESSES}) == 1
    assert len({dies[name] for name in PROCESSES if name not in ENGINE_PROCESSES}) == 1
    assert set(dies.values()) == {"SLR0", "SLR1", "SLR2"}


def test_the_ports_of_a_spread_kernel_prefer_banks_of_the_die_that_its_readers_lie_on() -> None:
    board = load_board("u200")
    (unit,) = place_compute_units(DIES_DESIGN, board, 1)
    slrs = {bank.tag: bank.slr for bank in board.memory.banks}
    assert board.slrs[slrs[dict(unit.banks)["weights"]] or 0].name == dict(unit.dies)["fetch_tiles"]


def test_the_project_has_the_script_and_the_link_runs_it() -> None:
    files = project_files(DIES_DESIGN, load_board("u200"), 300.0, 1)
    assigned = re.findall(r"^assign aebert_kernel_1 (\w+) (SLR\d)$", files["dies.tcl"], re.MULTILINE)
    (unit,) = place_compute_units(DIES_DESIGN, load_board("u200"), 1)
    assert tuple(assigned) == unit.dies
    assert "--config link.cfg $(PLACE)" in files["Makefile"]
    assert "STEPS.OPT_DESIGN.TCL.PRE=$(abspath $(DIES))" in files["Makefile"]
    assert "slr=" not in files["link.cfg"]


def test_a_kernel_on_one_die_has_no_such_script() -> None:
    for board in ("u200", "kv260"):
        files = project_files(SMALL_CONFIG, load_board(board), 200.0, 1)
        assert "dies.tcl" not in files
        assert "PLACE" not in files["Makefile"]


# Vivado's commands, of a design that has one cell for each process, or lacks one.
STUBS = """
proc get_cells args {
  set pattern [lindex [lindex $args end] end]
  if {[string match "*/layer_norm_3_U0" $pattern] && $::lacking} { return {} }
  return [list "level0/ulp/aebert_kernel_1/inst/[file tail $pattern]"]
}
proc set_property {name value cell} { puts "$name $value [file tail $cell]" }
set lacking LACKING
source SCRIPT
"""


def _sourced(directory: Path, lacking: int) -> subprocess.CompletedProcess[str]:
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        pytest.skip("tclsh is not installed")
    script = directory / "dies.tcl"
    script.write_text(project_files(DIES_DESIGN, load_board("u200"), 300.0, 1)["dies.tcl"])
    stubs = directory / "stubs.tcl"
    stubs.write_text(STUBS.replace("LACKING", str(lacking)).replace("SCRIPT", str(script)))
    return subprocess.run([tclsh, str(stubs)], capture_output=True, text=True, timeout=60, check=False)


def test_the_script_assigns_every_cell_to_its_die(tmp_path: Path) -> None:
    done = _sourced(tmp_path, 0)
    (unit,) = place_compute_units(DIES_DESIGN, load_board("u200"), 1)
    assert done.stdout.splitlines() == [f"USER_SLR_ASSIGNMENT {slr} {process}_U0" for process, slr in unit.dies]


def test_a_cell_that_is_not_there_ends_the_link_with_what_to_do(tmp_path: Path) -> None:
    done = _sourced(tmp_path, 1)
    assert done.returncode != 0
    assert "0 cells are called layer_norm_3_U0 in aebert_kernel_1, one was expected" in done.stderr
    assert "make xclbin DIES=" in done.stderr

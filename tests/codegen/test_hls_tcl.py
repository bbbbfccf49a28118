"""hls.tcl is Tcl, and asks Vitis HLS for the steps it was told, in their order; the commands of Vitis are recorders."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.small_project import small_project_text

COMMANDS = [
    *("open_project", "set_top", "add_files", "open_solution", "set_part", "create_clock", "config_interface"),
    *("csim_design", "csynth_design", "cosim_design", "export_design"),
]


def run_script(directory: Path, steps: str | None, failing: str = "") -> subprocess.CompletedProcess[str]:
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        pytest.skip("tclsh is not installed")
    script = directory / "hls.tcl"
    script.write_text(small_project_text()["hls.tcl"])
    recorders = [f'proc {name} args {{ puts "{name} $args" }}' for name in COMMANDS if name != failing]
    recorders += [f"proc {failing} args {{ error broken }}"] if failing else []
    (directory / "recorders.tcl").write_text("\n".join([*recorders, f"source {script}"]))
    environment = {name: value for name, value in os.environ.items() if name != "AEBERT_HLS_STEPS"}
    return subprocess.run(
        [tclsh, str(directory / "recorders.tcl")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment if steps is None else environment | {"AEBERT_HLS_STEPS": steps},
    )


def test_the_steps_asked_for_are_called_in_that_order(tmp_path: Path) -> None:
    ran = run_script(tmp_path, "csim csynth cosim export")
    assert ran.returncode == 0, ran.stderr
    called = [line.split()[0] for line in ran.stdout.splitlines() if "_design" in line]
    assert called == ["csim_design", "csynth_design", "cosim_design", "export_design"]
    assert f"csim_design -O -argv {tmp_path}" in ran.stdout


def test_the_kernel_and_the_test_bench_are_added_to_the_right_sides(tmp_path: Path) -> None:
    lines = run_script(tmp_path, "csynth").stdout.splitlines()
    added = [line.removeprefix("add_files ") for line in lines if line.startswith("add_files ")]
    bench = [line for line in added if line.startswith("-tb ")]
    assert any("/kernel/engine.cpp " in line for line in added if line not in bench)
    assert any("/testbench.cpp " in line for line in bench)
    assert all("/kernel/" not in line for line in bench)


def test_synthesis_alone_is_the_default(tmp_path: Path) -> None:
    ran = run_script(tmp_path, None)
    assert [line for line in ran.stdout.splitlines() if "_design" in line] == ["csynth_design "]


def test_an_unknown_step_is_refused_before_anything_runs(tmp_path: Path) -> None:
    ran = run_script(tmp_path, "csynth cosin")
    assert ran.returncode == 2
    assert "unknown step 'cosin'" in ran.stderr
    assert ran.stdout == ""


def test_a_step_that_fails_ends_the_script_with_an_error(tmp_path: Path) -> None:
    ran = run_script(tmp_path, "csynth cosim", failing="csynth_design")
    assert ran.returncode == 1
    assert "ERROR: step csynth failed: broken" in ran.stderr
    assert "cosim_design" not in ran.stdout

"""XRT's own library reads the xclbin that the project writes: kernel, registers, memory banks, and a launch.

Needs Debian's libxrt-dev (the library, its headers and its no-op device); skipped without.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from codegen.project import Project
from host.emulated.emulated_xclbin import build_emulated_xclbin
from tests.support.paths import SUPPORT

pytest_plugins = ["tests.support.host_fixtures"]

HEADERS = Path("/usr/include/xrt")
LIBRARIES = sorted(Path("/usr/lib").glob("*/libxrt_noop.so.2"))
COMPLETED = 4  # ert_cmd_state.ERT_CMD_STATE_COMPLETED

pytestmark = pytest.mark.skipif(
    not (HEADERS / "xrt" / "xrt_device.h").is_file() or not LIBRARIES or shutil.which("g++") is None,
    reason="libxrt-dev is not installed",
)


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled tests/support/xrt_launch.cpp."""
    program = tmp_path_factory.mktemp("xrt") / "xrt_launch"
    source = SUPPORT / "xrt_launch.cpp"
    subprocess.run(
        ["g++", "-std=c++17", f"-I{HEADERS}", str(source), "-o", str(program), "-lxrt_coreutil", "-luuid"], check=True
    )
    return program


def launch(launcher: Path, bitstream: Path, top: str) -> subprocess.CompletedProcess[str]:
    # XRT looks for the library of the no-op device in XILINX_XRT/lib.
    home = launcher.parent / "home"
    home.mkdir(exist_ok=True)
    if not (home / "lib").exists():
        (home / "lib").symlink_to(LIBRARIES[0].parent)
    environment = {**os.environ, "XILINX_XRT": str(home), "XCL_EMULATION_MODE": "noop"}
    command = [str(launcher), str(bitstream), top]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_xrt_finds_kernel_registers_and_banks_and_places_buffers_where_the_kernel_reads_them(
    tiny_project: Project, launcher: Path
) -> None:
    manifest = tiny_project.manifest
    bitstream = build_emulated_xclbin(tiny_project)
    done = launch(launcher, bitstream, manifest.top)
    assert done.returncode == 0, done.stderr
    facts = [line.split() for line in done.stdout.splitlines()]
    assert ["platform", manifest.platform] in facts
    assert ["unit", f"{manifest.top}:{manifest.top}_1"] in facts
    banks = {register.name: [manifest.banks[register.name]] for register in manifest.registers if register.bits == 64}
    assert [fact[1:] for fact in facts if fact[0] == "argument"] == [
        [register.name, str(register.offset), str(register.bits // 8), *banks.get(register.name, [])]
        for register in manifest.registers
    ]
    assert ["state", str(COMPLETED)] in facts
    # XRT warns and copies where a buffer lies in another bank than the one that its argument is connected to.
    assert "WARNING" not in done.stdout + done.stderr


def test_xrt_refuses_a_file_that_was_cut(tiny_project: Project, launcher: Path, tmp_path: Path) -> None:
    content = build_emulated_xclbin(tiny_project).read_bytes()
    cut = tmp_path / "cut.xclbin"
    cut.write_bytes(content[:200])
    assert launch(launcher, cut, tiny_project.manifest.top).returncode != 0

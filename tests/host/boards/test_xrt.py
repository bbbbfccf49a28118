"""The code for PCIe cards, against an emulated pyxrt: no card was there to try it on."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from aebert.support.errors import AebertError
from codegen.project import Project
from host.boards import xrt_board
from host.devices.faults import DeadlineExceededError, DeviceFault
from host.devices.open import open_accelerator
from host.emulated.board_process import Fault
from host.emulated.emulated_xclbin import build_emulated_xclbin
from tests.support import emulated_pyxrt

pytest_plugins = ["tests.support.host_fixtures"]


@pytest.fixture
def project(tiny_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy with a bitstream, on a machine with XRT whose cards nobody else uses."""
    monkeypatch.setitem(sys.modules, "pyxrt", emulated_pyxrt)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("XCL_EMULATION_MODE", raising=False)
    copy = replace(tiny_project, directory=tmp_path / "project")
    shutil.copytree(tiny_project.directory, copy.directory)
    folder = copy.directory / "bitstream"
    folder.mkdir()
    shutil.copyfile(build_emulated_xclbin(copy), folder / "kernel.xclbin")
    return copy


def test_a_card_computes_what_the_emulator_computes(project: Project) -> None:
    residuals = [np.random.default_rng(n).integers(-9000, 9000, (n, 32)).astype(np.int16) for n in (9, 2, 20)]
    with open_accelerator(project, "emulator") as accelerator:
        expected = accelerator.run(residuals)
    with open_accelerator(project, "xrt:0", known_answer=True, guarded=True) as accelerator:
        assert accelerator.device.source == "hw"
        for got, wanted in zip(accelerator.run(residuals), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("fault", "deadline_s", "error", "message"),
    [
        (Fault("hang"), 0.5, DeadlineExceededError, "the kernel was not done within 0.5 s; 'xbutil reset'"),
        (Fault("die"), 30.0, DeviceFault, "the kernel ended with .*ERROR"),
    ],
)
def test_a_card_that_hangs_or_fails_is_named(
    project: Project, fault: Fault, deadline_s: float, error: type[DeviceFault], message: str
) -> None:
    with open_accelerator(project, "xrt:0", deadline_s=deadline_s) as accelerator:
        emulated_pyxrt.device.last.inject(fault)
        with pytest.raises(error, match=f"xrt:0: {message}"):
            accelerator.run([np.ones((3, 32), np.int16)])


@pytest.mark.parametrize(
    ("deadline_s", "milliseconds"), [(0.0004, [1]), (0.0015, [2]), (0.25, [250]), (0.375, [250, 125]), (2.0, [250] * 8)]
)
def test_a_deadline_is_told_in_slices_of_whole_milliseconds_and_never_as_for_ever(
    project: Project, monkeypatch: pytest.MonkeyPatch, deadline_s: float, milliseconds: list[int]
) -> None:
    """XRT's ``run.wait(0)`` waits without end. The clock stands still but for what is waited."""
    asked: list[int] = []

    def wait(self: emulated_pyxrt.run, timeout_ms: int) -> emulated_pyxrt.ert_cmd_state:
        asked.append(timeout_ms)
        return emulated_pyxrt.ert_cmd_state.ERT_CMD_STATE_TIMEOUT

    monkeypatch.setattr(emulated_pyxrt.run, "wait", wait)
    monkeypatch.setattr(xrt_board, "WAIT_SLICE_S", 0.25)
    monkeypatch.setattr(xrt_board, "time", SimpleNamespace(monotonic=lambda: sum(asked) / 1000))
    with (
        open_accelerator(project, "xrt:0", deadline_s=deadline_s) as accelerator,
        pytest.raises(DeadlineExceededError),
    ):
        accelerator.run([np.ones((3, 32), np.int16)])
    assert asked == milliseconds


def test_a_card_that_is_not_there_is_named_and_its_lock_free_again(project: Project) -> None:
    for _ in range(2):
        with pytest.raises(DeviceFault, match=r"xrt:1: kernel\.xclbin cannot be loaded"):
            open_accelerator(project, "xrt:1")


def test_without_xrt_the_remedy_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyxrt", None)
    with pytest.raises(AebertError, match=r"pyxrt: .*; install XRT and source its setup\.sh"):
        open_accelerator(project, "xrt:0")


def test_hardware_emulation_takes_its_own_bitstream_and_says_what_its_times_are(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = project.directory / "build" / "kernel.hw_emu.xclbin"
    built.parent.mkdir(exist_ok=True)
    (project.directory / "bitstream" / "kernel.xclbin").rename(built)
    monkeypatch.setenv("XCL_EMULATION_MODE", "hw_emu")
    with open_accelerator(project, "xrt") as accelerator:
        assert accelerator.device.source == "hw_emu"
    built.unlink()
    monkeypatch.setenv("XCL_EMULATION_MODE", "sw_emu")
    with pytest.raises(AebertError, match="XCL_EMULATION_MODE=sw_emu: cannot run this kernel"):
        open_accelerator(project, "xrt")

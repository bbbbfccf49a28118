"""Everything that a device can do wrong is found, named in one line, and never becomes a wrong number."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aebert.support.errors import AebertError
from codegen.manifest import Manifest
from codegen.project import Project
from host.boards.bitstream import check_bitstream, find_bitstream, read_bitstream_facts
from host.boards.pynq_board import PynqBoard, PynqBoardBuffer
from host.devices import accelerator as accelerator_module
from host.devices.accelerator import Accelerator
from host.devices.faults import DeadlineExceededError, DeviceFault
from host.devices.lock import DeviceLock
from host.devices.open import open_accelerator
from host.emulated.board_process import Fault
from host.emulated.emulated_xclbin import build_emulated_xclbin
from host.emulated.pynq_emulator import find_emulated_board
from host.runtime import AcceleratedModel

pytest_plugins = ["tests.support.host_fixtures"]

BOARD = "pynq-emulator:0"
SENTENCES = ["the cat sat", "a dog ran to the cat on the mat", "cat", "the dog sat on a mat"]


def open_board(project: Project, *, guarded: bool = False, deadline_s: float = 1.0) -> Accelerator:
    return open_accelerator(project, BOARD, known_answer=True, guarded=guarded, deadline_s=deadline_s)


def inject(fault: Fault) -> None:
    find_emulated_board(0).inject(fault)


def model_on_board(
    project: Project, on_open: Callable[[], None] = lambda: None, *, guarded: bool = False
) -> AcceleratedModel:
    """``on_open`` is called whenever the device was opened, the first time and again."""

    def connect() -> Accelerator:
        accelerator = open_board(project, guarded=guarded)
        on_open()
        return accelerator

    return AcceleratedModel(project, connect)


def expected_logits(project: Project) -> torch.Tensor:
    with AcceleratedModel(project, lambda: open_accelerator(project, "emulator")) as model:
        return model.logits(SENTENCES)


FOUND_AND_REPEATED = [
    (Fault("hang"), "not done within 1 s"),
    (Fault("die"), "process died"),
    (Fault("slow", seconds=1.5), "not done within 1 s"),
    (Fault("lost_start"), "start or end was lost"),
    (Fault("lost_done"), "start or end was lost"),
]


@pytest.mark.parametrize(("fault", "message"), FOUND_AND_REPEATED, ids=lambda value: getattr(value, "kind", ""))
def test_a_launch_that_fails_is_named_and_done_again_on_the_reset_device(
    tiny_project: Project, fault: Fault, message: str
) -> None:
    with model_on_board(tiny_project) as model:
        inject(fault)
        torch.testing.assert_close(model.logits(SENTENCES), expected_logits(tiny_project), rtol=0, atol=0)
        (said,) = model.faults
        assert said.startswith((BOARD, "emulated board"))
        assert message in said
        assert "\n" not in said


FLIPS = [("pass_table", 0), ("embeddings", 40), ("weights", 700), ("indices", 3), ("parameters", 5), ("results", 4)]


@pytest.mark.parametrize(("port", "byte"), FLIPS, ids=[port for port, _ in FLIPS])
def test_a_wrong_bit_in_any_buffer_is_found_by_a_guarded_launch_and_the_launch_done_again(
    tiny_project: Project, port: str, byte: int
) -> None:
    with model_on_board(tiny_project, guarded=True) as model:
        inject(Fault("flip_memory", port=port, byte=byte))
        torch.testing.assert_close(model.logits(SENTENCES), expected_logits(tiny_project), rtol=0, atol=0)
        assert len(model.faults) == 1


@pytest.mark.parametrize("texts", [SENTENCES, [" ".join(["cat"] * 30)] * 2], ids=["shared launch", "full launch"])
def test_the_same_wrong_bit_in_both_runs_is_found_by_a_guarded_launch(tiny_project: Project, texts: list[str]) -> None:
    """A cell that is stuck gives two equal wrong answers: the runs must not look at the same place twice."""
    with model_on_board(tiny_project, guarded=True) as model:
        for after in range(2):
            inject(Fault("flip_memory", after=after, port="results", byte=4))
        with AcceleratedModel(tiny_project, lambda: open_accelerator(tiny_project, "emulator")) as right:
            torch.testing.assert_close(model.logits(texts), right.logits(texts), rtol=0, atol=0)
        assert len(model.faults) == 1
        assert "different outputs" in model.faults[0] or "known sequence" in model.faults[0]


@pytest.mark.parametrize("guarded", [False, True])
def test_a_kernel_that_is_done_and_wrote_nothing_does_not_pass_off_the_last_answer(
    tiny_project: Project, guarded: bool
) -> None:
    with model_on_board(tiny_project, guarded=guarded) as model:
        model.logits(SENTENCES)  # an answer of the very same launch lies in the output buffer
        for after in range(2):
            inject(Fault("write_nothing", after=after))
        torch.testing.assert_close(model.logits(SENTENCES), expected_logits(tiny_project), rtol=0, atol=0)
        assert len(model.faults) == 1
        assert "had not written its output" in model.faults[0]


@pytest.fixture
def never_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the launches take here, the weights are not read back between them."""
    monkeypatch.setattr(accelerator_module, "READ_BACK_SHARE", 1e-12)


@pytest.mark.usefixtures("never_read_back")
def test_unguarded_launches_find_wrong_weights_before_the_model_is_let_go(tiny_project: Project) -> None:
    def answer_with_wrong_weights() -> None:
        with model_on_board(tiny_project) as model:
            inject(Fault("flip_memory", port="weights", byte=700))
            model.logits(SENTENCES)

    with pytest.raises(DeviceFault, match=r"weights read back differ .* the answers of the last \d+ launches"):
        answer_with_wrong_weights()


def test_resident_weights_are_read_back_for_a_hundredth_of_the_time(
    tiny_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = []
    check = Accelerator.check_resident
    monkeypatch.setattr(Accelerator, "check_resident", lambda self: (checks.append(0), check(self)))
    accelerator = open_board(tiny_project)
    before = len(checks)
    accelerator._read_back_s = 1e9  # so that no launch is long enough
    program, residual = accelerator.program([1]), [np.ones((1, 32), np.int16)]
    accelerator.execute(accelerator.prepare(program, residual))
    assert len(checks) == before
    accelerator._read_back_s = accelerator._since_check_s / 200
    accelerator.execute(accelerator.prepare(program, residual))
    assert len(checks) == before + 1
    accelerator.device.close()


INTERRUPT = """
import os, signal, sys, threading, time
from pathlib import Path
from codegen.project import load_project
from host.devices.open import open_accelerator
from host.emulated.board_process import Fault
from host.runtime import AcceleratedModel
project = load_project(Path(sys.argv[1]))
model = AcceleratedModel(project, lambda: open_accelerator(project, sys.argv[2], deadline_s=300))
device = model.accelerator.device
(device if sys.argv[2] == "emulator" else device._board).inject(Fault("hang"))
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
began = time.monotonic()
try:
    with model:
        model.logits(["the cat sat"])
except KeyboardInterrupt:
    print(time.monotonic() - began)
"""


@pytest.mark.parametrize("device", ["emulator", "pynq-emulator:0"])
def test_ctrl_c_during_a_launch_that_hangs_returns_at_once(tiny_project: Project, device: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPT, tiny_project.directory, device], capture_output=True, text=True, timeout=120
    )
    assert float(done.stdout) < 3, done.stderr


def test_a_device_that_is_slow_but_in_time_is_no_fault(tiny_project: Project) -> None:
    with model_on_board(tiny_project) as model:
        inject(Fault("slow", seconds=0.3))
        torch.testing.assert_close(model.logits(SENTENCES), expected_logits(tiny_project), rtol=0, atol=0)
        assert model.faults == []


def test_a_device_that_fails_again_is_given_up_and_serves_the_next_call(tiny_project: Project) -> None:
    faults = [Fault("die"), Fault("hang")]
    with model_on_board(tiny_project, lambda: inject(faults.pop(0)) if faults else None) as model:
        with pytest.raises(DeadlineExceededError, match="not done within 1 s"):
            model.logits(SENTENCES)
        assert len(model.faults) == 2
        torch.testing.assert_close(model.logits(SENTENCES), expected_logits(tiny_project), rtol=0, atol=0)


def test_faults_in_the_middle_of_many_launches_lose_nothing(tiny_project: Project) -> None:
    texts = [" ".join(["cat"] * (1 + number % 20)) for number in range(40)]
    with AcceleratedModel(tiny_project, lambda: open_accelerator(tiny_project, "emulator")) as model:
        expected = model.logits(texts)
    faults = [Fault("die", after=3), Fault("lost_done", after=2)]
    with model_on_board(tiny_project, lambda: inject(faults.pop(0)) if faults else None) as model:
        torch.testing.assert_close(model.logits(texts), expected, rtol=0, atol=0)
        assert len(model.faults) == 2


def test_a_launch_that_was_prepared_before_the_fault_is_not_sent_to_the_reset_device(tiny_project: Project) -> None:
    texts = ["the cat sat on the mat to the dog on the mat " * 2] * 4
    with AcceleratedModel(tiny_project, lambda: open_accelerator(tiny_project, "emulator")) as model:
        expected = model.logits(texts)
    with model_on_board(tiny_project) as model:
        # Slow, so that the next launch is ready when this one dies.
        inject(Fault("slow", seconds=0.5))
        inject(Fault("die"))
        torch.testing.assert_close(model.logits(texts), expected, rtol=0, atol=0)
        assert len(model.faults) == 1


def test_a_hung_board_refuses_work_until_it_is_opened_again(tiny_project: Project) -> None:
    accelerator = open_board(tiny_project)
    residual = np.ones((1, 32), np.int16)
    prepared = [accelerator.prepare(accelerator.program([1]), [residual]) for _ in range(2)]
    inject(Fault("hang"))
    with pytest.raises(DeadlineExceededError):
        accelerator.execute(prepared[0])
    with pytest.raises(DeviceFault, match="an earlier launch never ended; open the device again"):
        accelerator.execute(prepared[1])
    accelerator.device.close()


def on_small_banks(project: Project, bank_bytes: int) -> PynqBoard:
    bitstream = build_emulated_xclbin(project, bank_bytes)
    board = find_emulated_board(1)
    return PynqBoard(board, bitstream, project.manifest, name="small", source="emulated", released=board.unload)


def upload(project: Project, board: PynqBoard) -> Accelerator:
    return Accelerator(board, project.manifest.config, project.quantised, project.image)


def test_memory_that_is_too_small_is_named_with_its_bank(tiny_project: Project) -> None:
    board = on_small_banks(tiny_project, 8192)
    with pytest.raises(DeviceFault, match=r"small: allocating \d+ bytes for weights failed \(memory bank DDR"):
        upload(tiny_project, board)
    board.close()


@pytest.mark.parametrize("port", ["weights", "indices", "parameters"])
def test_a_bit_that_is_lost_on_the_way_to_the_device_is_found_when_weights_are_read_back(
    tiny_project: Project, port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = on_small_banks(tiny_project, 1 << 20)
    allocate = board.allocate

    def corrupt_one(wanted: str, size: int) -> PynqBoardBuffer:
        if wanted == port:
            find_emulated_board(1).corrupt_next_transfer(17)
        return allocate(wanted, size)

    monkeypatch.setattr(board, "allocate", corrupt_one)
    with pytest.raises(DeviceFault, match=rf"{port} read back differ .* in 1 of \d+ bytes, the first at 17"):
        upload(tiny_project, board)
    board.close()


@pytest.mark.usefixtures("never_read_back")
def test_the_known_answer_test_stops_a_device_whose_weights_rot_after_the_upload(
    tiny_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Accelerator.check_resident

    def rot_after_the_check(accelerator: Accelerator) -> None:
        check(accelerator)
        inject(Fault("flip_memory", port="weights", byte=700))

    monkeypatch.setattr(Accelerator, "check_resident", rot_after_the_check)
    with pytest.raises(DeviceFault, match=r"known-answer test failed, first in layer .*, pass .*; do not use"):
        open_board(tiny_project)
    # The device is free again.
    monkeypatch.undo()
    open_board(tiny_project).device.close()


def other_manifest(project: Project, **changes: object) -> Manifest:
    return replace(project.manifest, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"design_digest": "0" * 64}, "is of design .{8}, the project of 00000000; build it again"),
        ({"platform": "xilinx_u250_gen3x16_xdma_4_1_202210_1"}, "is for platform xilinx_u200"),
        ({"clock_mhz": 300.0}, "runs at 250 MHz, the project says 300; generate it with --clock-mhz 250"),
    ],
)
def test_a_bitstream_of_another_design_board_or_clock_is_refused(
    tiny_project: Project, changes: dict[str, object], message: str
) -> None:
    bitstream = build_emulated_xclbin(tiny_project)
    with pytest.raises(AebertError, match=message):
        PynqBoard(
            find_emulated_board(1),
            bitstream,
            other_manifest(tiny_project, **changes),
            name="other",
            source="emulated",
            released=lambda: None,
        )


@pytest.mark.parametrize("keep", [0, 7, 100, 500, 2000, -1])
def test_a_truncated_xclbin_is_refused(tiny_project: Project, tmp_path: Path, keep: int) -> None:
    content = build_emulated_xclbin(tiny_project).read_bytes()
    path = tmp_path / "cut.xclbin"
    path.write_bytes(content[:keep])
    with pytest.raises(AebertError, match=r"cut\.xclbin: "):
        read_bitstream_facts(path)


def bit_file(path: Path, design: str) -> Path:
    """The header of a .bit file as Vivado writes it."""
    text = design.encode() + b"\0"
    preamble = struct.pack(">H", 9) + bytes.fromhex("0ff00ff00ff00ff000") + struct.pack(">H", 1)
    path.write_bytes(preamble + b"a" + struct.pack(">H", len(text)) + text + b"b\0\x01\0")
    return path


def test_a_bit_file_is_known_by_its_user_id(tiny_project: Project, tmp_path: Path) -> None:
    manifest = tiny_project.manifest
    right = bit_file(tmp_path / "right.bit", f"top;UserID=0X{manifest.design_digest[:8].upper()};Version=2024.1")
    check_bitstream(right, manifest, read_bitstream_facts(right))
    wrong = bit_file(tmp_path / "wrong.bit", "top;UserID=0X12345678;Version=2024.1")
    with pytest.raises(AebertError, match="is of design 12345678"):
        check_bitstream(wrong, manifest, read_bitstream_facts(wrong))
    unset = bit_file(tmp_path / "unset.bit", "top;UserID=0XFFFFFFFF;Version=2024.1")
    with pytest.raises(AebertError, match="does not say which design it is"):
        check_bitstream(unset, manifest, read_bitstream_facts(unset))


def test_the_bitstream_of_a_project_is_what_was_built_or_the_only_one_put_there(tmp_path: Path) -> None:
    with pytest.raises(AebertError, match="no bitstream; run 'aebert build' where Vitis is"):
        find_bitstream(tmp_path)
    (tmp_path / "build").mkdir()
    for name in ("kernel.hw.xclbin", "kernel.hw_emu.xclbin", "emulated-0.xclbin"):
        (tmp_path / "build" / name).touch()
    assert find_bitstream(tmp_path).name == "kernel.hw.xclbin"
    assert find_bitstream(tmp_path, "hw_emu").name == "kernel.hw_emu.xclbin"
    folder = tmp_path / "bitstream"
    folder.mkdir()
    for name in ("a.bit", "a.hwh", "a.xclbin"):
        (folder / name).touch()
    assert find_bitstream(tmp_path).name == "a.bit"
    (folder / "b.xclbin").touch()
    with pytest.raises(AebertError, match="3 bitstreams; keep one"):
        find_bitstream(tmp_path)


HOLD_LOCK = """
import sys, time
from host.devices.lock import DeviceLock
lock = DeviceLock(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


def test_the_lock_of_a_killed_process_is_free_and_of_a_living_one_is_not() -> None:
    name = f"test-{os.getpid()}"
    owner = subprocess.Popen([sys.executable, "-c", HOLD_LOCK, name], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    with pytest.raises(AebertError, match=f"in use by process {owner.pid}; wait for it or end it"):
        DeviceLock(name)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    lock = DeviceLock(name)
    lock.release()
    lock.path.unlink()

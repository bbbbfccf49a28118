"""The board code, run by the real PYNQ library on emulated boards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pynq
import pytest

from aebert.design.kernel_streams import PORTS
from aebert.numerics.reference import trace_encoder
from aebert.support.errors import AebertError
from codegen.project import Project
from codegen.vector_order import Int16Array
from host.boards.pynq_board import PynqBoard
from host.devices.accelerator import Accelerator
from host.devices.open import open_accelerator, open_device
from host.emulated.emulated_xclbin import build_emulated_xclbin, emulated_banks
from host.emulated.pynq_emulator import EmulatedPynqDevice, find_emulated_board

pytest_plugins = ["tests.support.host_fixtures"]


def some_residual(length: int, hidden: int, seed: int = 0) -> Int16Array:
    values = np.random.default_rng(seed).normal(0.0, 3000.0, (length, hidden))
    residual: Int16Array = np.clip(np.rint(values), -32767, 32767).astype(np.int16)
    return residual


def reference(project: Project, residual: Int16Array) -> Int16Array:
    return trace_encoder(project.quantised, residual)[-1].ffn_out


@pytest.fixture
def board(tiny_project: Project) -> Iterator[PynqBoard]:
    device = open_device(tiny_project, "pynq-emulator:0")
    assert isinstance(device, PynqBoard)
    yield device
    device.close()


def test_pynq_finds_emulated_boards_by_its_own_probing() -> None:
    tags = [device.tag for device in pynq.Device.devices if isinstance(device, EmulatedPynqDevice)]
    assert tags[:2] == ["aebert-emulated-0", "aebert-emulated-1"]


def test_pynq_reads_the_kernels_registers_and_banks_from_the_emulated_xclbin(tiny_project: Project) -> None:
    manifest = tiny_project.manifest
    bitstream = build_emulated_xclbin(tiny_project)
    overlay = pynq.Overlay(str(bitstream), device=find_emulated_board(1))
    description = overlay.ip_dict[f"{manifest.top}_1"]
    found = {name: (entry["address_offset"], entry["size"]) for name, entry in description["registers"].items()}
    assert found == {"CTRL": (0, 4)} | {r.name: (r.offset, r.bits) for r in manifest.registers}
    assert {port: description["registers"][port]["memory"] for port in PORTS} == manifest.banks
    assert overlay.clock_dict["clock0"]["frequency"] == manifest.clock_mhz
    find_emulated_board(1).unload()


def test_each_port_has_its_buffers_in_the_bank_it_is_connected_to(tiny_project: Project, board: PynqBoard) -> None:
    banks = {bank.tag: bank for bank in emulated_banks(tiny_project.manifest)}
    for port in PORTS:
        bank = banks[tiny_project.manifest.banks[port]]
        address = board.allocate(port, 5000).device_address
        assert bank.base <= address < bank.base + bank.size


def test_what_is_not_synced_does_not_reach_the_device(board: PynqBoard) -> None:
    buffer = board.allocate("embeddings", 8)
    buffer.array[:] = 1
    buffer.to_device()
    buffer.array[:] = 2
    buffer.from_device()
    assert buffer.array.tolist() == [1] * 8


def test_buffers_give_their_memory_back(board: PynqBoard) -> None:
    first = board.allocate("embeddings", 100)
    address = first.device_address
    del first
    assert board.allocate("embeddings", 100).device_address == address


@pytest.mark.parametrize("lengths", [(1,), (32,), (9, 3, 17)])
def test_the_board_code_computes_the_reference_bit_for_bit(tiny_project: Project, lengths: tuple[int, ...]) -> None:
    residuals = [some_residual(length, 32, seed) for seed, length in enumerate(lengths)]
    with open_accelerator(tiny_project, "pynq-emulator:0", known_answer=True) as accelerator:
        for _ in range(2):
            outputs = accelerator.run(residuals)
            for output, residual in zip(outputs, residuals, strict=True):
                np.testing.assert_array_equal(output, reference(tiny_project, residual))


def test_two_boards_work_side_by_side(tiny_project: Project) -> None:
    residual = some_residual(12, 32)
    with (
        open_accelerator(tiny_project, "pynq-emulator:0") as first,
        open_accelerator(tiny_project, "pynq-emulator:1") as second,
    ):
        waiting = [a.prepare(a.program([12]), [residual]) for a in (first, second)]
        outputs = [a.execute(launch) for a, launch in zip((first, second), waiting, strict=True)]
    np.testing.assert_array_equal(outputs[0], outputs[1])


def test_a_vivado_design_without_ap_continue_runs_again_and_again(
    tiny_project: Project,
) -> None:
    manifest = replace(tiny_project.manifest, flow="vivado", platform=None)
    bitstream = build_emulated_xclbin(tiny_project)
    device = PynqBoard(
        find_emulated_board(2), bitstream, manifest, name="vivado", source="emulated", released=lambda: None
    )
    residual = some_residual(5, 32)
    accelerator = Accelerator(device, manifest.config, tiny_project.quantised, tiny_project.image)
    for _ in range(3):
        np.testing.assert_array_equal(accelerator.run([residual])[0], reference(tiny_project, residual))
    find_emulated_board(2).unload()


def test_an_open_device_belongs_to_one_owner(tiny_project: Project, board: PynqBoard) -> None:
    with pytest.raises(AebertError, match=f"in use by process {os.getpid()}"):
        open_device(tiny_project, "pynq-emulator:0")
    board.close()
    open_device(tiny_project, "pynq-emulator:0").close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fpga", "not known; there are emulator"),
        ("pynq-emulator:x", "'x' must be a number"),
        ("pynq-emulator:99", "set AEBERT_EMULATED_BOARDS"),
        ("emulator:1", "takes no number"),
        ("remote", "name the host"),
        ("xrt:0", "no bitstream"),
    ],
)
def test_a_device_that_cannot_be_had_is_explained(tiny_project: Project, name: str, message: str) -> None:
    with pytest.raises(AebertError, match=message):
        open_device(tiny_project, name)

"""The emulated board below PYNQ: its memory, its control register, and its process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.project import Project
from codegen.toolchains.emulator import build_emulator
from host.devices.faults import DeviceFault
from host.emulated.board_process import CONTINUE, DONE, IDLE, START, Fault, MappedBank
from host.emulated.emulated_board import PAGE_BYTES, EmulatedMemory, EmulatedRegisters
from host.emulated.emulated_xclbin import emulated_banks

pytest_plugins = ["tests.support.host_fixtures"]

PAGES = 16
BANKS = (
    MappedBank("A", 1 << 32, PAGES * PAGE_BYTES, 0),
    MappedBank("B", 2 << 32, PAGES * PAGE_BYTES, PAGES * PAGE_BYTES),
)


def largest_gap(bank: MappedBank, held: dict[int, int]) -> int:
    """Bytes of the largest piece of ``bank`` that no buffer (address -> size, in whole pages) takes."""
    end = bank.base + bank.size
    starts = sorted(address for address in held if bank.base <= address < end)
    ends = [bank.base, *(address + -(-max(held[address], 1) // PAGE_BYTES) * PAGE_BYTES for address in starts)]
    return max(start - free for free, start in zip(ends, [*starts, end], strict=True))


@given(steps=st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 3 * PAGE_BYTES), st.booleans()), max_size=25))
@settings(max_examples=40, deadline=None)
def test_buffers_never_overlap_and_freed_memory_is_used_again(steps: list[tuple[str, int, bool]]) -> None:
    memory = EmulatedMemory(BANKS)
    held: dict[int, int] = {}
    for tag, size, free_one in steps:
        if free_one and held:
            address = next(iter(held))
            del held[address]
            memory.free(address)
        bank = BANKS["AB".index(tag)]
        try:
            address = memory.allocate(tag, size)
        except DeviceFault:
            assert max(size, 1) > largest_gap(bank, held)
            continue
        assert bank.base <= address
        assert address + size <= bank.base + bank.size
        assert address % PAGE_BYTES == 0
        for other, length in held.items():
            assert address + max(size, 1) <= other or other + max(length, 1) <= address
        held[address] = size
    for address in list(held):
        memory.free(address)
    assert memory.allocate("A", PAGES * PAGE_BYTES) == BANKS[0].base
    memory.close()


def test_a_full_bank_is_named_and_other_banks_are_not_affected() -> None:
    memory = EmulatedMemory(BANKS)
    memory.allocate("A", PAGES * PAGE_BYTES)
    with pytest.raises(DeviceFault, match="memory bank A: no room for 1 bytes"):
        memory.allocate("A", 1)
    memory.allocate("B", 1)
    memory.close()


def test_new_buffers_do_not_read_as_zero() -> None:
    memory = EmulatedMemory(BANKS)
    assert np.all(memory.view(memory.allocate("A", 10), 10) != 0)
    memory.close()


@pytest.fixture
def memory(tiny_project: Project) -> Iterator[EmulatedMemory]:
    found = EmulatedMemory(emulated_banks(tiny_project.manifest, bank_bytes=1 << 20))
    yield found
    found.close()


def start_board(project: Project, memory: EmulatedMemory, *, chained: bool) -> EmulatedRegisters:
    library = build_emulator(project.sources()).read_bytes()
    return EmulatedRegisters(memory, library, project.manifest.top, project.manifest.registers, chained=chained)


def give_arguments(project: Project, memory: EmulatedMemory, board: EmulatedRegisters) -> None:
    """A program of one pass, END, which ends the kernel at once."""
    program = np.zeros(64, np.uint8)
    program[0] = 6
    address = memory.allocate(project.manifest.banks["pass_table"], 4096)
    memory.view(address, 64)[:] = program
    for register in project.manifest.registers:
        pointer = register.bits == 64
        value = address if pointer else int(register.name == "pass_count")
        board.write(register.offset, value & 0xFFFFFFFF)
        if pointer:
            board.write(register.offset + 4, value >> 32)


def wait_for(board: EmulatedRegisters, bits: int) -> int:
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        status = board.read(0)
        if status & bits:
            return status
    raise AssertionError("the kernel never got there")


def test_done_is_cleared_by_reading_it(tiny_project: Project, memory: EmulatedMemory) -> None:
    board = start_board(tiny_project, memory, chained=False)
    give_arguments(tiny_project, memory, board)
    assert board.read(0) == IDLE
    board.write(0, START)
    assert wait_for(board, DONE) == DONE | IDLE
    assert board.read(0) == IDLE
    board.close()


def test_a_chained_kernel_holds_done_and_does_not_start_again_before_continue(
    tiny_project: Project, memory: EmulatedMemory
) -> None:
    board = start_board(tiny_project, memory, chained=True)
    give_arguments(tiny_project, memory, board)
    board.write(0, START)
    wait_for(board, DONE)
    assert board.read(0) == DONE | IDLE
    board.write(0, START)
    assert board.read(0) == START | DONE | IDLE
    board.write(0, CONTINUE)
    assert wait_for(board, DONE) == DONE | IDLE
    board.close()


def test_an_address_outside_every_bank_is_reported(tiny_project: Project, memory: EmulatedMemory) -> None:
    board = start_board(tiny_project, memory, chained=True)
    board.write(0, START)
    with pytest.raises(DeviceFault, match="address 0x0 is in no memory bank"):
        wait_for(board, DONE)
    board.close()


def test_a_board_that_died_says_so_on_every_access(tiny_project: Project, memory: EmulatedMemory) -> None:
    board = start_board(tiny_project, memory, chained=True)
    give_arguments(tiny_project, memory, board)
    board.inject(Fault("die"))
    # The process may be gone before or after it has answered this.
    with suppress(DeviceFault):
        board.write(0, START)
    for _ in range(2):
        with pytest.raises(DeviceFault, match=r"process died .*signal 9"):
            wait_for(board, DONE)
    board.close()


def test_closing_a_hung_board_kills_its_process(tiny_project: Project, memory: EmulatedMemory) -> None:
    board = start_board(tiny_project, memory, chained=True)
    give_arguments(tiny_project, memory, board)
    board.inject(Fault("hang"))
    board.write(0, START)
    assert not board.read(0) & (DONE | IDLE)
    board.close()
    with pytest.raises(DeviceFault, match="closed"):
        board.read(0)

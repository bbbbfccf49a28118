"""Emulated boards for PYNQ: a `pynq.Device` that PYNQ's own probing finds, with the compiled kernel behind it.

`pynq.Overlay`, `pynq.allocate` and the register accesses of an IP are the real library's; only what they reach below
the `Device` is emulated. Importing this module registers the boards.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import pynq
from pynq._3rdparty.xclbin import AXLF_SECTION_KIND
from pynq.buffer import PynqBuffer
from pynq.pl_server.xclbin_parser import XclBin, parse_xclbin_header

from codegen.manifest import TOP, Register
from host.devices.faults import DeviceFault
from host.emulated.board_process import Fault, MappedBank
from host.emulated.emulated_board import EmulatedMemory, EmulatedRegisters

COUNT_VARIABLE = "AEBERT_EMULATED_BOARDS"
DEFAULT_COUNT = 4
# Behind every kind of board that PYNQ has itself: it only becomes the default where there is none.
PRIORITY = 10_000


class BankDescription(TypedDict):
    """The part of an entry of PYNQ's ``mem_dict`` that is used here."""

    tag: str
    base_address: int
    size: int
    used: int


class RegisterDescription(TypedDict):
    """The part of an entry of PYNQ's register dictionary that is used here; ``size`` in bits."""

    address_offset: int
    size: int


class EmulatedBuffer:
    """What XRT's buffer object is to a PynqBuffer: device memory that is freed with the last array on it."""

    def __init__(self, memory: EmulatedMemory, address: int) -> None:
        self.memory = memory
        self.address = address


class EmulatedBank:
    """One memory bank: a target of `pynq.allocate`."""

    def __init__(self, board: EmulatedPynqDevice, tag: str) -> None:
        self.device = board
        self.tag = tag

    def allocate(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> PynqBuffer:
        """Raises RuntimeError when the bank is full, as XRT does."""
        return self.device.allocate_in(self.tag, shape, dtype)


class EmulatedPynqDevice(pynq.Device):
    """A card whose "bitstream" is an xclbin made by `host.emulated.emulated_xclbin`."""

    _probe_priority_ = PRIORITY

    @classmethod
    def _probe_(cls) -> list[EmulatedPynqDevice]:
        return [cls(number) for number in range(int(os.environ.get(COUNT_VARIABLE, DEFAULT_COUNT)))]

    def __init__(self, number: int) -> None:
        super().__init__(f"aebert-emulated-{number}")
        self.name = "aebert_emulated"
        self.number = number
        self.capabilities = {"REGISTER_RW": True}
        self.timestamp = ""
        self.bitfile_name = ""
        self.mem_dict: Mapping[str, BankDescription] = {}
        self._memory: EmulatedMemory | None = None
        self._registers: EmulatedRegisters | None = None
        self._base_address = 0
        self._corrupt_byte: int | None = None

    @property
    def registers(self) -> EmulatedRegisters:
        """The loaded kernel's. Raises DeviceFault when there is none."""
        if self._registers is None:
            raise DeviceFault(f"{self.tag}: no bitstream is loaded")
        return self._registers

    def inject(self, fault: Fault) -> None:
        """Makes one of the next launches go wrong."""
        self.registers.inject(fault)

    def corrupt_next_transfer(self, byte: int) -> None:
        """Inverts bit 0 of ``byte`` in the next copy to the device, on its way."""
        self._corrupt_byte = byte

    # What PYNQ asks of a device.

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> XclBin:
        return XclBin(xclbin_data=bytearray(Path(bitfile_name).read_bytes()))

    def download(self, bitstream: pynq.Bitstream, parser: XclBin) -> None:
        """Resets the board: the process of the bitstream before this one is killed, its buffers are void."""
        self.unload()
        sections, _ = parse_xclbin_header(Path(bitstream.bitfile_name).read_bytes())
        (kernel,) = parser.ip_dict.values()
        self._base_address = kernel["phys_addr"]
        offset = 0
        banks = []
        for description in parser.mem_dict.values():
            banks.append(MappedBank(description["tag"], description["base_address"], description["size"], offset))
            offset += description["size"]
        self._memory = EmulatedMemory(banks)
        self._registers = EmulatedRegisters(
            self._memory,
            bytes(sections[AXLF_SECTION_KIND.BITSTREAM]),
            TOP,
            _arguments(kernel["registers"]),
            chained=kernel["hw_control_protocol"] == "ap_ctrl_chain",
        )
        super().post_download(bitstream, parser)

    def unload(self) -> None:
        """Ends the board's process; a later download starts afresh."""
        if self._registers is not None:
            self._registers.close()
        if self._memory is not None:
            self._memory.close()
        self._registers = self._memory = None

    def open_context(self, description: Mapping[str, int]) -> int:
        return description["cu_index"]

    def read_registers(self, address: int, length: int) -> bytes:
        offset = address - self._base_address
        words = [self.registers.read(offset + place) for place in range(0, length, 4)]
        return b"".join(word.to_bytes(4, "little") for word in words)

    def write_registers(self, address: int, data: bytes) -> None:
        for place in range(0, len(data), 4):
            value = int.from_bytes(data[place : place + 4], "little")
            self.registers.write(address - self._base_address + place, value)

    @property
    def default_memory(self) -> EmulatedBank:
        return self.get_memory(next(iter(self.mem_dict.values())))

    def get_memory(self, description: BankDescription) -> EmulatedBank:
        return EmulatedBank(self, description["tag"])

    def allocate_in(self, tag: str, shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> PynqBuffer:
        memory = self._memory
        if memory is None:
            raise DeviceFault(f"{self.tag}: no bitstream is loaded")
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        try:
            held = EmulatedBuffer(memory, memory.allocate(tag, size))
        except DeviceFault as fault:
            raise RuntimeError(str(fault)) from None  # as XRT does
        # The array's own memory is the host's copy; freeing it (a finalizer on its base) frees the device's.
        content = np.zeros(max(size, 1), np.uint8)
        weakref.finalize(content, memory.free, held.address)
        return PynqBuffer(
            shape, dtype, buffer=content, bo=held, device=self, device_address=held.address, coherent=False
        )

    def flush(self, bo: EmulatedBuffer, offset: int, virtual_address: int, size: int) -> None:
        arrived = self._device_bytes(bo, offset, size)
        arrived[:] = _host_bytes(virtual_address, size)
        if self._corrupt_byte is not None:
            arrived[self._corrupt_byte] ^= 1
            self._corrupt_byte = None

    def invalidate(self, bo: EmulatedBuffer, offset: int, virtual_address: int, size: int) -> None:
        _host_bytes(virtual_address, size)[:] = self._device_bytes(bo, offset, size)

    def _device_bytes(self, held: EmulatedBuffer, offset: int, size: int) -> npt.NDArray[np.uint8]:
        if held.memory is not self._memory:
            raise DeviceFault(f"{self.tag}: the buffer belongs to a bitstream that was unloaded")
        return held.memory.view(held.address + offset, size)


def _arguments(registers: Mapping[str, RegisterDescription]) -> list[Register]:
    """The kernel's arguments in order: every register but the control register at 0."""
    found = [
        Register(name, register["address_offset"], register["size"])
        for name, register in registers.items()
        if register["address_offset"]
    ]
    return sorted(found, key=lambda register: register.offset)


def _host_bytes(virtual_address: int, size: int) -> npt.NDArray[np.uint8]:
    array: npt.NDArray[np.uint8] = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(virtual_address))
    return array


def find_emulated_board(number: int) -> EmulatedPynqDevice:
    """Raises AebertError when PYNQ has not found that many."""
    boards = [device for device in pynq.Device.devices if isinstance(device, EmulatedPynqDevice)]
    if number >= len(boards):
        raise DeviceFault(f"pynq-emulator:{number}: there are {len(boards)}; set {COUNT_VARIABLE} to have more")
    return boards[number]

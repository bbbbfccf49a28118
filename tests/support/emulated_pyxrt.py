"""The part of XRT's ``pyxrt`` that `host.boards.xrt_board` uses, with an emulated board in the card's place."""

from __future__ import annotations

import time
from enum import Enum
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from pynq.pl_server.xclbin_parser import XclBin, parse_xclbin_header

from codegen.manifest import Register
from host.devices.faults import DeviceFault
from host.emulated.board_process import CONTINUE, DONE, START, Fault, MappedBank
from host.emulated.emulated_board import EmulatedMemory, EmulatedRegisters

xclBOSyncDirection = SimpleNamespace(XCL_BO_SYNC_BO_TO_DEVICE=0, XCL_BO_SYNC_BO_FROM_DEVICE=1)  # noqa: N816 - XRT's name


class ert_cmd_state(Enum):  # noqa: N801 - XRT's name
    ERT_CMD_STATE_COMPLETED = 4
    ERT_CMD_STATE_ERROR = 5
    ERT_CMD_STATE_ABORT = 6
    ERT_CMD_STATE_TIMEOUT = 8
    ERT_CMD_STATE_NORESPONSE = 9


class device:  # noqa: N801 - XRT's name
    last: device

    def __init__(self, number: int) -> None:
        if number:
            raise RuntimeError(f"No such device '{number}'")
        device.last = self

    def load_xclbin(self, path: str) -> str:
        content = Path(path).read_bytes()
        parsed = XclBin(xclbin_data=bytearray(content))
        (kernel_entry,) = parsed.ip_dict.values()
        banks, offset = [], 0
        for entry in parsed.mem_dict.values():
            banks.append(MappedBank(entry["tag"], entry["base_address"], entry["size"], offset))
            offset += entry["size"]
        self.memory = EmulatedMemory(banks)
        registers = sorted(
            (
                Register(name, entry["address_offset"], entry["size"])
                for name, entry in kernel_entry["registers"].items()
            ),
            key=lambda register: register.offset,
        )[1:]
        self.arguments = registers
        self.tags = {name: entry.get("memory") for name, entry in kernel_entry["registers"].items()}
        self.board = EmulatedRegisters(
            self.memory, bytes(parse_xclbin_header(content)[0][0]), "aebert_kernel", self.arguments, chained=True
        )
        return "uuid"

    def inject(self, fault: Fault) -> None:
        self.board.inject(fault)


class kernel:  # noqa: N801 - XRT's name
    cu_access_mode = SimpleNamespace(exclusive=0, shared=1)

    def __init__(self, card: device, uuid: str, name: str, mode: int) -> None:
        assert (uuid, name, mode) == ("uuid", "aebert_kernel", 0)
        self.card = card

    def group_id(self, argument: int) -> int:
        tag = self.card.tags[self.card.arguments[argument].name]
        return [bank.tag for bank in self.card.memory.banks].index(tag)


class bo:  # noqa: N801 - XRT's name
    flags = SimpleNamespace(normal=0)

    def __init__(self, card: device, size: int, flags: int, group: int) -> None:
        self._card = card
        self._host = bytearray(size)
        try:
            self.at = card.memory.allocate(card.memory.banks[group].tag, size)
        except DeviceFault as fault:
            raise RuntimeError(str(fault)) from None

    def map(self) -> memoryview:
        return memoryview(self._host)

    def sync(self, direction: int) -> None:
        host, card = np.frombuffer(self._host, np.uint8), self._card.memory.view(self.at, len(self._host))
        if direction == xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE:
            card[:] = host
        else:
            host[:] = card


class run:  # noqa: N801 - XRT's name
    def __init__(self, of: kernel) -> None:
        self._card = of.card

    def set_arg(self, number: int, value: bo | int) -> None:
        register = self._card.arguments[number]
        content = value.at if isinstance(value, bo) else value
        self._card.board.write(register.offset, content & 0xFFFFFFFF)
        if register.bits == 64:
            self._card.board.write(register.offset + 4, content >> 32)

    def start(self) -> None:
        self._card.board.write(0, START)

    def wait(self, timeout_ms: int) -> ert_cmd_state:
        limit = time.monotonic() + timeout_ms / 1000
        while time.monotonic() < limit:
            try:
                done = self._card.board.read(0) & DONE
            except DeviceFault:
                return ert_cmd_state.ERT_CMD_STATE_ERROR
            if done:
                self._card.board.write(0, CONTINUE)
                return ert_cmd_state.ERT_CMD_STATE_COMPLETED
        return ert_cmd_state.ERT_CMD_STATE_TIMEOUT

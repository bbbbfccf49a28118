"""An emulated board as its driver sees it: memory banks with addresses, registers, and a process that can be killed."""

from __future__ import annotations

import json
import logging
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codegen.manifest import Register
from host.devices.faults import DeadlineExceededError, DeviceFault
from host.emulated.board_process import (
    LIBRARY_PATH,
    MESSAGE_BYTES,
    REPLY,
    REQUEST,
    BoardOperation,
    BoardSettings,
    Fault,
    LibraryCall,
    MappedBank,
)

LOGGER = logging.getLogger("aebert.device")
# Of `host.emulated.confinement`: the two that a stranger's C++ is held by.
LAYERS = ("landlock", "seccomp")
_PASSED_ON = ("PATH", "LANG", LIBRARY_PATH)
SCRIPT = Path(__file__).with_name("board_process.py")
PAGE_BYTES = 4096
# A register access that takes longer means that the process is stuck or stopped; the kernel has a thread of its own.
ACCESS_LIMIT_S = 30.0
# Well below MESSAGE_BYTES: a call names a loop or an array.
CALLS_PER_MESSAGE = 100
# A timeline of a launch has a few entries per pass and process.
LARGEST_TIMING = 1 << 30
# What was never written is not zero on a board either.
STALE = 0xA5


class EmulatedMemory:
    """Device memory that this process and the board's process share; buffers are allocated first fit, by page."""

    def __init__(self, banks: Sequence[MappedBank]) -> None:
        self.banks = tuple(banks)
        self.size = sum(bank.size for bank in self.banks)
        self.file = os.memfd_create("aebert-device-memory")
        os.ftruncate(self.file, self.size)
        self._bytes = np.frombuffer(mmap.mmap(self.file, self.size), np.uint8)
        self._used: dict[str, list[tuple[int, int]]] = {bank.tag: [] for bank in self.banks}

    def allocate(self, tag: str, size: int) -> int:
        """Address of ``size`` free bytes. Raises DeviceFault when the bank has no room."""
        bank = next(bank for bank in self.banks if bank.tag == tag)
        used = self._used[tag]
        pages = -(-max(size, 1) // PAGE_BYTES) * PAGE_BYTES
        start = bank.base
        for begin, end in sorted(used):
            if begin - start >= pages:
                break
            start = end
        if start + pages > bank.base + bank.size:
            free = bank.size - sum(end - begin for begin, end in used)
            raise DeviceFault(f"memory bank {tag}: no room for {size} bytes ({free} of {bank.size} free)")
        used.append((start, start + pages))
        self.view(start, size)[:] = STALE
        return start

    def free(self, address: int) -> None:
        for used in self._used.values():
            used[:] = [(begin, end) for begin, end in used if begin != address]

    def view(self, address: int, size: int) -> npt.NDArray[np.uint8]:
        """The bytes of the device, uint8 [size]."""
        bank = next(bank for bank in self.banks if bank.base <= address < bank.base + bank.size)
        return self._bytes[bank.offset + address - bank.base :][:size]

    def close(self) -> None:
        """The board lets go of its memory; it is freed with the last buffer that is still in use."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


class EmulatedRegisters:
    """The kernel's control registers, in a process of their own that runs the compiled kernel.

    Every access raises DeviceFault when the process is gone or the kernel has failed.
    """

    def __init__(
        self,
        memory: EmulatedMemory,
        library: bytes,
        top: str,
        registers: Sequence[Register],
        *,
        chained: bool,
        name: str = "emulated board",
    ) -> None:
        self._name = name
        code = os.memfd_create("aebert-emulator")
        with os.fdopen(code, "wb", closefd=False) as file:
            file.write(library)
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(ACCESS_LIMIT_S)
        settings = BoardSettings(
            control=other.fileno(),
            memory=memory.file,
            memory_bytes=memory.size,
            library=code,
            top=top,
            registers=tuple((register.name, register.offset, register.bits) for register in registers),
            banks=memory.banks,
            chained=chained,
            load_limit_s=int(ACCESS_LIMIT_S),
        )
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(SCRIPT), settings.to_json()],
            pass_fds=(settings.control, settings.memory, settings.library),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # Nothing of this process's environment, in which passwords may stand.
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        )
        other.close()
        os.close(code)
        try:
            self._await_start()
        except BaseException:  # Ctrl-C included: a constructor that hangs must not outlive this
            self.close()
            raise

    def _await_start(self) -> None:
        try:
            reply = self._reply()
        except DeadlineExceededError:
            raise DeviceFault(f"{self._name}: the compiled kernel was not loaded within {ACCESS_LIMIT_S:g} s") from None
        self.confinement = tuple(filter(None, reply[REPLY.size :].decode(errors="replace").split(",")))
        if missing := [layer for layer in LAYERS if layer not in self.confinement]:
            LOGGER.warning(
                "%s: its process is not confined by %s here; run only projects of people you trust",
                self._name,
                " and ".join(missing),
            )

    def read(self, offset: int) -> int:
        """The 32-bit register at byte ``offset``."""
        return self._ask(BoardOperation.READ, offset, 0)

    def write(self, offset: int, value: int) -> None:
        self._ask(BoardOperation.WRITE, offset, value)

    def inject(self, fault: Fault) -> None:
        """``fault`` happens in one of the next launches; see `Fault`."""
        self._ask(BoardOperation.INJECT, 0, 0, json.dumps(asdict(fault)).encode())

    def wait(self, deadline_s: float) -> int:
        """The control register when the kernel is done, or idle again without having been done.

        Raises DeadlineExceededError; the process may still be at work then, and is only good for `close`.
        """
        self._control.settimeout(deadline_s)
        try:
            return self._ask(BoardOperation.WAIT, 0, 0)
        finally:
            self._control.settimeout(ACCESS_LIMIT_S)

    def call(self, calls: Sequence[LibraryCall]) -> None:
        """Configures the compiled emulator."""
        step = CALLS_PER_MESSAGE
        for start in range(0, len(calls), step):
            self._ask(BoardOperation.CALL, 0, 0, json.dumps(calls[start : start + step]).encode())

    def timing(self) -> str:
        """What timed emulation says of the last launch, as JSON; empty where the emulator has no clocks."""
        size = self._ask(BoardOperation.TIMING, 0, 0)
        text = b""
        if size > LARGEST_TIMING:
            raise DeviceFault(f"{self._name}: its process announces {size} bytes of timing; it does not work")
        while len(text) < size:
            text += self._message()
        return text.decode(errors="replace")

    def abort(self) -> None:
        """From another thread: kills the process, so that whoever waits for an answer is told."""
        self._process.kill()

    def close(self) -> None:
        """Kills the process, whatever it is doing."""
        self._control.close()
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _ask(self, operation: BoardOperation, offset: int, value: int, content: bytes = b"") -> int:
        try:
            self._control.send(REQUEST.pack(operation, offset, value) + content)
        except OSError:
            raise self._gone() from None
        return self._receive()

    def _receive(self) -> int:
        reply = self._reply()
        failed, value = REPLY.unpack_from(reply)
        if failed:
            raise DeviceFault(f"{self._name}: {reply[REPLY.size :].decode(errors='replace')}")
        return int(value)

    def _reply(self) -> bytes:
        reply = self._message()
        # The kernel shares the process with what talks to us, and may be somebody's attack.
        if len(reply) < REPLY.size:
            raise DeviceFault(f"{self._name}: its process answers with {len(reply)} bytes that are no reply")
        return reply

    def _message(self) -> bytes:
        limit = self._control.gettimeout()
        try:
            message = self._control.recv(MESSAGE_BYTES)
        except TimeoutError:
            raise DeadlineExceededError(f"{self._name}: no answer within {limit:g} s") from None
        except OSError:
            message = b""
        if not message:
            raise self._gone()
        return message

    def _gone(self) -> DeviceFault:
        if self._process.stderr is None or self._process.stderr.closed:
            return DeviceFault(f"{self._name}: closed")
        status = self._process.wait(timeout=ACCESS_LIMIT_S)
        said = self._process.stderr.read().decode(errors="replace").strip().splitlines()
        return DeviceFault(f"{self._name}: process died ({f'signal {-status}' if status < 0 else said[-1:]})")

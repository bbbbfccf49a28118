"""The process behind one emulated board: its memory, the kernel's control registers, and the compiled kernel.

Started as a script by `emulated_board` and told everything through its one argument, so that a kernel that hangs
or crashes can be killed without harm to anybody else. It imports little more than the standard library, to start fast,
and before it loads the kernel it gives up all it does not need (`host.emulated.confinement`).

The control register at offset 0 behaves as UG1399 ("S_AXILITE Control Register Map") describes it. Interrupts are not
modelled: the host polls.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

from host.emulated.confinement import confine

START, DONE, IDLE, CONTINUE = 0x01, 0x02, 0x04, 0x10

REQUEST = struct.Struct("<BQQ")  # operation, register offset, value; an injected fault or calls follow as JSON
REPLY = struct.Struct("<BQ")  # 1 where the board failed, value; the reason follows as text
MESSAGE_BYTES = 65536
LIBRARY_PATH = "LD_LIBRARY_PATH"

TIMING_RESULT = "aebert_timing_result"

FaultKind = Literal["hang", "die", "slow", "lost_start", "lost_done", "flip_memory", "write_nothing"]


class BoardOperation(IntEnum):
    """What the host asks of the board."""

    READ = 0
    WRITE = 1
    INJECT = 2
    WAIT = 3  # answered with the control register when the kernel is done or has failed: the emulator's interrupt
    CALL = 4
    TIMING = 5  # answered with the length of the text, which follows in messages of its own


class LibraryCall(NamedTuple):
    """A function of the compiled emulator that configures it; float arguments are passed as C doubles."""

    function: str
    arguments: tuple[str | int | float, ...]


@dataclass(frozen=True)
class MappedBank:
    """``size`` bytes of device memory from address ``base``, which lie at ``offset`` in the shared memory file."""

    tag: str
    base: int
    size: int
    offset: int


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong in one launch, ``after`` as many good ones.

    The kernel never ends, its process dies, it takes longer, it never hears of its start or the host of its end.
    ``seconds`` is how much longer a slow launch takes. ``flip_memory`` inverts bit 0 of byte ``byte`` of the buffer of
    argument ``port``: before the kernel reads it, or for ``output`` after it was written. ``write_nothing`` is done at
    once.
    """

    kind: FaultKind
    after: int = 0
    seconds: float = 0.0
    port: str = ""
    byte: int = 0


@dataclass(frozen=True)
class BoardSettings:
    """File descriptors that the process inherits, and what is loaded.

    ``registers`` are (argument, offset, bits) in the kernel's order. ``chained``: ap_ctrl_chain instead of ap_ctrl_hs.
    ``load_limit_s``: how long the library may take to load, its constructors included.
    """

    control: int
    memory: int
    memory_bytes: int
    library: int
    top: str
    registers: tuple[tuple[str, int, int], ...]
    banks: tuple[MappedBank, ...]
    chained: bool
    load_limit_s: int

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> BoardSettings:
        fields = json.loads(text)
        fields["registers"] = tuple((name, offset, bits) for name, offset, bits in fields["registers"])
        fields["banks"] = tuple(MappedBank(**bank) for bank in fields["banks"])
        return cls(**fields)


def _as_c(value: str | int | float) -> object:
    match value:
        case str():
            return value.encode()
        case float():
            return ctypes.c_double(value)
        case _:
            return ctypes.c_int(value)


class BoardFailure(Exception):
    """Why the kernel can never be done."""


class EmulatedKernel:
    """The compiled kernel, called with device addresses."""

    def __init__(self, settings: BoardSettings) -> None:
        self._library = ctypes.CDLL(f"/proc/self/fd/{settings.library}")
        self._kernel = self._library[settings.top]
        self._kernel.restype = None
        self._error = self._library.aebert_emulation_error
        self._error.restype = ctypes.c_char_p
        self._banks = settings.banks
        self._memory = mmap.mmap(settings.memory, settings.memory_bytes)
        self._host_address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))

    def run(self, pointers: Sequence[int], scalars: Sequence[int]) -> None:
        """Raises BoardFailure where hardware would wait for ever."""
        addresses = [ctypes.c_void_p(self._host_address + self._offset(pointer)) for pointer in pointers]
        self._kernel(*addresses, *(ctypes.c_int(value) for value in scalars))
        message = (self._error() or b"").decode()
        if message:
            raise BoardFailure(message)

    def call(self, call: LibraryCall) -> None:
        self._library[call.function](*map(_as_c, call.arguments))

    def timing(self) -> bytes:
        """What timed emulation says of the last launch, as JSON; empty where the emulator has no clocks."""
        if not hasattr(self._library, TIMING_RESULT):
            return b""
        read = self._library[TIMING_RESULT]
        read.restype = ctypes.c_char_p
        text: bytes = read()
        return text

    def flip(self, address: int) -> None:
        self._memory[self._offset(address)] ^= 1

    def _offset(self, address: int) -> int:
        for bank in self._banks:
            if bank.base <= address < bank.base + bank.size:
                return bank.offset + address - bank.base
        raise BoardFailure(f"address {address:#x} is in no memory bank")


class EmulatedBoard:
    """The register file and what it starts. ``reply`` sends the answer to a WAIT, from the kernel's thread."""

    def __init__(self, settings: BoardSettings, reply: Callable[[bytes], object]) -> None:
        self._settings = settings
        self._reply = reply
        self._waited_for = False
        self.kernel = EmulatedKernel(settings)
        self._values: dict[int, int] = {}
        self._lock = threading.Lock()
        self._start, self._done, self._idle = False, False, True
        self._failure = ""
        self._launches = 0
        self._faults: list[Fault] = []

    def inject(self, fault: Fault) -> None:
        self._faults.append(Fault(**{**asdict(fault), "after": fault.after + self._launches}))

    def read(self, offset: int) -> int:
        if offset:
            return self._values.get(offset, 0)
        with self._lock:
            return self._status()

    def wait(self) -> bytes | None:
        """The reply at once, or None where `_settle` will send it."""
        with self._lock:
            self._waited_for = not (self._idle or self._failure)
            return None if self._waited_for else self._settled()

    def write(self, offset: int, value: int) -> None:
        if offset:
            self._values[offset] = value & 0xFFFFFFFF
            return
        with self._lock:
            self._start = self._start or bool(value & START)
            if value & CONTINUE:
                self._done = False
            held = self._settings.chained and self._done
            if self._start and (self._idle or self._failure) and not held:
                self._begin()

    def _status(self) -> int:
        if self._failure:
            raise BoardFailure(self._failure)
        status = START * self._start | DONE * self._done | IDLE * self._idle
        # ap_ctrl_hs clears ap_done when it is read; ap_ctrl_chain holds it until ap_continue.
        self._done = self._done and self._settings.chained
        return status

    def _settled(self) -> bytes:
        try:
            return REPLY.pack(0, self._status())
        except BoardFailure as failure:
            return failed(failure)

    def _begin(self) -> None:
        self._start, self._done, self._failure = False, False, ""
        due = [fault for fault in self._faults if fault.after <= self._launches]
        self._faults = [fault for fault in self._faults if fault not in due]
        self._launches += 1
        if any(fault.kind == "lost_start" for fault in due):
            return
        self._idle = False
        threading.Thread(target=self._launch, args=(due,), daemon=True).start()

    def _launch(self, faults: list[Fault]) -> None:
        kinds = {fault.kind for fault in faults}
        pointers = {
            name: self._values.get(offset, 0) | self._values.get(offset + 4, 0) << 32
            for name, offset, bits in self._settings.registers
            if bits == 64
        }
        scalars = [self._values.get(offset, 0) for _, offset, bits in self._settings.registers if bits == 32]
        time.sleep(sum(fault.seconds for fault in faults if fault.kind == "slow"))
        try:
            self._flip(faults, pointers, after_the_kernel=False)
            if "die" in kinds:
                os.kill(os.getpid(), signal.SIGKILL)
            if "hang" in kinds:
                return
            if "write_nothing" not in kinds:
                self.kernel.run(list(pointers.values()), scalars)
            self._flip(faults, pointers, after_the_kernel=True)
        except BoardFailure as failure:
            self._settle(str(failure), done=False)
        else:
            self._settle("", done="lost_done" not in kinds)

    def _settle(self, failure: str, *, done: bool) -> None:
        with self._lock:
            self._failure, self._idle, self._done = failure, not failure, done
            if self._waited_for:
                self._waited_for = False
                self._reply(self._settled())

    def _flip(self, faults: list[Fault], pointers: dict[str, int], *, after_the_kernel: bool) -> None:
        for fault in faults:
            if fault.kind == "flip_memory" and (fault.port == "results") == after_the_kernel:
                self.kernel.flip(pointers[fault.port] + fault.byte)


def failed(failure: BoardFailure) -> bytes:
    """The reply that says why."""
    return REPLY.pack(1, 0) + str(failure).encode()[: MESSAGE_BYTES - REPLY.size]


def answers(board: EmulatedBoard, request: bytes) -> Iterator[bytes]:
    """The messages that reply to one request; none yet to a WAIT for a kernel that runs."""
    operation, offset, value = REQUEST.unpack_from(request)
    content = request[REQUEST.size :]
    reply = REPLY.pack(0, 0)
    try:
        match BoardOperation(operation):
            case BoardOperation.READ:
                reply = REPLY.pack(0, board.read(offset))
            case BoardOperation.WRITE:
                board.write(offset, value)
            case BoardOperation.INJECT:
                board.inject(Fault(**json.loads(content)))
            case BoardOperation.CALL:
                for function, arguments in json.loads(content):
                    board.kernel.call(LibraryCall(function, tuple(arguments)))
            case BoardOperation.WAIT:
                done = board.wait()
                if done is None:
                    return
                reply = done
            case BoardOperation.TIMING:
                text = board.kernel.timing()
                yield REPLY.pack(0, len(text))
                yield from (text[start : start + MESSAGE_BYTES] for start in range(0, len(text), MESSAGE_BYTES))
                return
    except BoardFailure as failure:
        reply = failed(failure)
    yield reply


def main(text: str) -> None:
    """Serves requests until the host goes away."""
    settings = BoardSettings.from_json(text)
    with socket.socket(fileno=settings.control) as control:
        layers = confine(tuple(filter(None, os.environ.get(LIBRARY_PATH, "").split(os.pathsep))))
        # A constructor that hangs holds the interpreter's lock; the alarm's default action ends the process all the
        # same, also when nobody is left who would kill it.
        signal.alarm(settings.load_limit_s)
        board = EmulatedBoard(settings, control.send)
        signal.alarm(0)
        control.send(REPLY.pack(0, 0) + ",".join(layers).encode())
        while request := control.recv(MESSAGE_BYTES):
            for message in answers(board, request):
                control.send(message)
    os._exit(0)  # a kernel that still runs has nobody left to tell


if __name__ == "__main__":
    main(sys.argv[1])

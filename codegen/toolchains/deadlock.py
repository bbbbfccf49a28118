"""What the deadlock report of a co-simulation or a hardware emulation says: which process waits on which stream.

Vitis HLS prints it into the log, in one of two spellings (public logs of 2018 to 2023):

    // ERROR!!! DEADLOCK DETECTED at 150290000 ns! SIMULATION WILL BE STOPPED! //
    // (1): Process: vadd_vadd.PE_B_U0
    //      Blocked by empty input FIFO 'vadd_vadd.s_A_to_B_U' written by process 'vadd_vadd.PE_A_U0'
    //      Channel: vadd.s_B_to_A_U, FULL
"""

from __future__ import annotations

import re

_DETECTED = re.compile(r"^// ERROR!!! DEADLOCK DETECTED at (\d+) ns!")
_PROCESS = re.compile(r"^// \(\d+\): Process: (\S+)")
_FIFO = re.compile(
    r"^// +Blocked by (empty|full) (?:input|output) FIFO '([^']+)' (?:written|read) by process '([^']+)'"
)
_CHANNEL = re.compile(r"^// +Channel: ([^\s,]+), (EMPTY|FULL)")


class DeadlockReport:
    """Is told the lines of a log one after another."""

    def __init__(self) -> None:
        self._at_ns: str | None = None
        self._process = ""
        self._waits: dict[str, None] = {}  # in order, each once

    def read(self, line: str) -> None:
        """One line, of the report or not."""
        if found := _DETECTED.match(line):
            self._at_ns = self._at_ns or found[1]
        elif found := _PROCESS.match(line):
            self._process = _short(found[1])
        elif found := _FIFO.match(line):
            self._wait(_short(found[2]), found[1], f" ({'from' if found[1] == 'empty' else 'to'} {_short(found[3])})")
        elif found := _CHANNEL.match(line):
            self._wait(_short(found[1]), found[2].lower(), "")

    def _wait(self, stream: str, state: str, other: str) -> None:
        self._waits[f"{self._process} on {state} {stream}{other}"] = None

    def in_a_sentence(self) -> str | None:
        """None where no deadlock was reported."""
        if self._at_ns is None:
            return None
        waits = ", ".join(self._waits) or "the log does not say which"
        return (
            f"deadlock at {self._at_ns} ns, processes wait: {waits}; deepen these FIFOs, or send the log to the project"
        )


def _short(path: str) -> str:
    """The name in the C++ of an instance ``top_top.engine_U0``."""
    return re.sub(r"_U\d*$", "", path.rpartition(".")[2])

"""A device of this machine in a process that can be killed, whatever the device's driver is stuck in."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from aebert.support.errors import AebertError
from host.devices.faults import DeadlineExceededError, DeviceFault
from host.emulated.board_process import Fault
from host.farm.messages import Broken, Opened, Opening, Plan, Refused, Reply
from host.measure import Measurement

# Loading a bitstream takes seconds, and so does starting Python; compiling an emulator takes a minute.
OPEN_DEADLINE_S = 600.0
# A board needs a fraction of a second for a subnet, an emulator of a large design minutes.
SUBNET_DEADLINE_S = 1800.0
_ENDING_S = 10.0


class MeasuringDevice(Protocol):
    """A device that a farm can give work to. Every call ends, and after a DeviceFault there is none but ``close``."""

    @property
    def name(self) -> str: ...

    def open(self, plan: Plan) -> None:
        """Raises DeviceFault when the device cannot be had, or does not give the known answer."""
        ...

    def measure(self, subnet: Path) -> Measurement:
        """Raises DeviceFault when the device fails, AebertError when the subnet cannot be measured anywhere."""
        ...

    def abort(self) -> None:
        """From another thread: ends a call that is under way."""
        ...

    def close(self) -> None: ...


class LocalDevice:
    """``name`` as in `host.devices.open.open_device`; ``faults`` see `Opening`."""

    def __init__(
        self,
        name: str,
        faults: tuple[Fault, ...] = (),
        open_deadline_s: float = OPEN_DEADLINE_S,
        subnet_deadline_s: float = SUBNET_DEADLINE_S,
    ) -> None:
        self.name = name
        self._faults = faults
        self._open_deadline_s = open_deadline_s
        self._subnet_deadline_s = subnet_deadline_s
        self._process: subprocess.Popen[bytes] | None = None

    def open(self, plan: Plan) -> None:
        """Starts the process."""
        ours, theirs = socket.socketpair()
        self._said = os.memfd_create("aebert-device-stderr")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "host.farm.device_process", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            # Devices share this machine's cores.
            env={"OMP_NUM_THREADS": "1", **os.environ},
        )
        theirs.close()
        self._link = Connection(ours.detach())
        match self._ask(Opening(plan, self.name, self._faults), self._open_deadline_s):
            case Opened():
                return
            case Broken(reason):
                self.close()
                raise DeviceFault(_named(self.name, reason))
            case other:
                raise AssertionError(f"unexpected {other!r}")

    def measure(self, subnet: Path) -> Measurement:
        match self._ask(subnet, self._subnet_deadline_s):
            case Measurement() as measurement:
                return measurement
            case Refused(reason):
                raise AebertError(reason)
            case Broken(reason):
                self.close()
                raise DeviceFault(_named(self.name, reason))
            case other:
                raise AssertionError(f"unexpected {other!r}")

    def abort(self) -> None:
        """Kills the process: whoever waits for it is told."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Ends the process, if need be by killing it."""
        if self._process is None:
            return
        process, self._process = self._process, None
        self._link.close()
        try:
            process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(self._said)

    def _ask(self, message: Opening | Path, deadline_s: float) -> Reply:
        if self._process is None:
            raise DeviceFault(f"{self.name}: closed")
        try:
            self._link.send(message)
            answered = self._link.poll(deadline_s)
            reply: Reply | None = self._link.recv() if answered else None
        except (EOFError, OSError):
            raise self._died() from None
        if reply is None:
            self.abort()
            self.close()
            raise DeadlineExceededError(f"{self.name}: no answer within {deadline_s:g} s; its process was killed")
        return reply

    def _died(self) -> DeviceFault:
        assert self._process is not None
        status = self._process.wait(_ENDING_S)
        said = os.pread(self._said, os.fstat(self._said).st_size, 0)
        lines = said.decode(errors="replace").strip().splitlines()
        self.close()
        how = f"signal {-status}" if status < 0 else (lines or [f"exit code {status}"])[-1]
        return DeviceFault(f"{self.name}: its process died ({how})")


def _named(name: str, reason: str) -> str:
    """Reasons mostly begin with the device's name."""
    return reason if reason.startswith(name) else f"{name}: {reason}"

"""Shares subnets among devices; what a device fails at is done by another."""

from __future__ import annotations

import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from aebert.support.errors import AebertError
from host.devices.faults import DeviceFault
from host.farm.local_device import MeasuringDevice
from host.farm.messages import Plan
from host.measure import Measurement

# A subnet that this many devices failed at is left out: the next device would be lost to it as well.
MOST_TRIES = 2


class NoDeviceLeftError(AebertError):
    """Every device of the farm was taken out."""


@dataclass
class DeviceLog:
    """What a device did. ``fault``: why it was taken out, empty while it is in use."""

    name: str
    measured: int = 0
    fault: str = ""


@dataclass(frozen=True)
class Measured:
    """Subnet ``number`` of a round."""

    number: int
    measurement: Measurement
    device: str


@dataclass
class _Round:
    """The work of one call of `Farm.run`, shared by the threads of its devices."""

    waiting: deque[int]
    events: queue.SimpleQueue[Measured | str | None] = field(default_factory=queue.SimpleQueue)
    changed: threading.Condition = field(default_factory=threading.Condition)
    running: int = 0
    tries: Counter[int] = field(default_factory=Counter)

    def take(self) -> int | None:
        """Work, or None when there will be none: what others are at may still come back."""
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or not self.running)
            if not self.waiting:
                return None
            self.running += 1
            return self.waiting.popleft()

    def end(self) -> None:
        with self.changed:
            self.running -= 1
            self.changed.notify_all()

    def give_back(self, number: int) -> bool:
        """Whether somebody else is to try it."""
        with self.changed:
            self.tries[number] += 1
            again = self.tries[number] < MOST_TRIES
            if again:
                self.waiting.appendleft(number)
            self.running -= 1
            self.changed.notify_all()
            return again

    def stop(self) -> None:
        with self.changed:
            self.waiting.clear()
            self.changed.notify_all()


class Farm:
    """Opens ``devices`` side by side. ``note`` is told what goes wrong, one line each, from the caller's thread.

    Raises NoDeviceLeftError when none of them can be had.
    """

    def __init__(self, plan: Plan, devices: Sequence[MeasuringDevice], note: Callable[[str], None]) -> None:
        self._note = note
        self._devices = list(devices)
        self.logs = tuple(DeviceLog(device.name) for device in devices)
        with ThreadPoolExecutor(max(1, len(self._devices))) as pool:
            faults = list(pool.map(lambda device: _open(device, plan), self._devices))
        for log, fault in zip(self.logs, faults, strict=True):
            if fault:
                log.fault = fault
                note(f"{fault}; going on without it")
        if not self._usable():
            raise self._none_left()

    def __enter__(self) -> Farm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives all devices back."""
        for device in self._devices:
            device.close()

    def run(self, subnets: Sequence[Path]) -> Generator[Measured, None, None]:
        """Figures in the order in which they come. What cannot be measured is left out, after a note.

        Raises NoDeviceLeftError when no device is left and there is still work.
        """
        if not self._usable():
            raise self._none_left()
        work = _Round(deque(range(len(subnets))))
        usable = self._usable()
        with ThreadPoolExecutor(len(usable), thread_name_prefix="aebert-farm") as pool:
            futures = [pool.submit(self._work, number, subnets, work) for number in usable]
            try:
                for _ in futures:
                    while (event := work.events.get()) is not None:
                        if isinstance(event, Measured):
                            yield event
                        else:
                            self._note(event)
            except BaseException:
                # Abandoned in the middle: what is under way must not outlive it.
                work.stop()
                for device in self._devices:
                    device.abort()
                raise
            for future in futures:
                future.result()
        if work.waiting:
            raise self._none_left()

    def _work(self, number: int, subnets: Sequence[Path], work: _Round) -> None:
        try:
            while (job := work.take()) is not None:
                if not self._measure(number, job, subnets[job], work):
                    return
        except BaseException:
            work.stop()
            work.end()
            raise
        finally:
            work.events.put(None)

    def _measure(self, number: int, job: int, subnet: Path, work: _Round) -> bool:
        """Whether the device can go on."""
        device, log = self._devices[number], self.logs[number]
        try:
            result = device.measure(subnet)
        except DeviceFault as fault:
            log.fault = str(fault)
            again = work.give_back(job)
            then = "its work is done elsewhere" if again else f"{subnet} is left out, as it failed elsewhere too"
            work.events.put(f"{fault}; the device is taken out, {then}")
            return False
        except AebertError as error:
            work.events.put(f"{error}; it is left out")
        else:
            log.measured += 1
            work.events.put(Measured(job, result, device.name))
        work.end()
        return True

    def _usable(self) -> list[int]:
        return [number for number, log in enumerate(self.logs) if not log.fault]

    def _none_left(self) -> NoDeviceLeftError:
        return NoDeviceLeftError(f"no device is left: {'; '.join(log.fault for log in self.logs)}")


def _open(device: MeasuringDevice, plan: Plan) -> str:
    """What went wrong, empty when nothing did."""
    try:
        device.open(plan)
    except AebertError as error:
        return str(error)
    return ""

"""Under what conditions a board ran: power, temperature and clock, where it has sensors that say so."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import TracebackType
from typing import Protocol, runtime_checkable

from host.devices.faults import DeviceFault

# Board controllers average over about as long.
SAMPLE_INTERVAL_S = 0.1


@dataclass(frozen=True)
class SensorReading:
    """What a board's sensors say now; None where it has none.

    ``power_w`` covers what ``power_of`` names (the whole card, or a sum of rails). ``clock_mhz`` is the kernel's clock
    as it is set on the board.
    """

    power_w: float | None = None
    power_of: str = ""
    temperature_c: float | None = None
    clock_mhz: float | None = None


@runtime_checkable
class MonitoredDevice(Protocol):
    """A device with sensors."""

    def read_sensors(self) -> SensorReading: ...


@dataclass(frozen=True)
class Conditions:
    """While launches followed one another without a pause: means over ``samples`` readings, and the last clock.

    ``idle_power_w`` was read before. All None where the device has no sensors, which ``note`` says.
    """

    samples: int
    power_w: float | None
    idle_power_w: float | None
    temperature_c: float | None
    clock_mhz: float | None
    note: str


class Monitor:
    """Reads sensors in a thread of its own, from entering to leaving."""

    def __init__(self, read: Callable[[], SensorReading], interval_s: float = SAMPLE_INTERVAL_S) -> None:
        self._read = read
        self._interval_s = interval_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True, name="aebert-sensors")
        self.readings: list[SensorReading] = []

    def __enter__(self) -> Monitor:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        # A sensor that fails is no reason to lose a measurement.
        with contextlib.suppress(DeviceFault):
            while not self._ended.wait(self._interval_s):
                self.readings.append(self._read())


def observe(device: object, launch: Callable[[], object], seconds: float) -> Conditions:
    """Repeats ``launch`` for ``seconds`` and reads the sensors of ``device`` meanwhile, if it has any."""
    if not isinstance(device, MonitoredDevice):
        return Conditions(0, None, None, None, None, "no sensors")
    try:
        idle = device.read_sensors()
    except DeviceFault as fault:
        return Conditions(0, None, None, None, None, str(fault))
    if idle == SensorReading():
        return Conditions(0, None, None, None, None, "its sensors say nothing")
    with Monitor(device.read_sensors) as monitor:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            launch()
    return summarise(idle, monitor.readings)


def summarise(idle: SensorReading, readings: Sequence[SensorReading]) -> Conditions:
    """Means over ``readings``, which were taken under load."""
    powers = [reading.power_w for reading in readings if reading.power_w is not None]
    temperatures = [reading.temperature_c for reading in readings if reading.temperature_c is not None]
    return Conditions(
        samples=len(readings),
        power_w=fmean(powers) if powers else None,
        idle_power_w=idle.power_w,
        temperature_c=fmean(temperatures) if temperatures else None,
        clock_mhz=(readings[-1] if readings else idle).clock_mhz,
        note=f"power of {idle.power_of}" if idle.power_of else "no power sensor",
    )

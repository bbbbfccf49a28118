"""Power and temperature of a Zynq or Kria board, from the kernel's hwmon files through PYNQ's own sensor classes.

File names and units are those of the Linux hwmon sysfs interface: ``in*_input`` in mV, ``curr*_input`` in mA,
``power*_input`` in uW, ``temp*_input`` in millidegrees Celsius. Never read on a board.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pynq.pmbus import DerivedPowerSensor, MultiSensor, SysFSSensor

from host.boards.conditions import SensorReading

HWMON = Path("/sys/class/hwmon")
# Monitors of power rails, as their drivers name themselves: PMBus regulators and INA2xx current sensors.
_POWER_CHIPS = re.compile(r"ina2\d\d|irps5401|ir38\d\d\d|tps53\w+|max\d+|pmbus|ltc\d+")
# Temperatures of the chip itself: XADC on Zynq-7000, AMS on UltraScale+.
_CHIP_TEMPERATURES = re.compile(r"xadc|ams|xilinx|iio_hwmon")


class PowerSensor(Protocol):
    """PYNQ's sensors, which have no types of their own."""

    name: str


@dataclass(frozen=True)
class BoardSensors:
    """The rails whose power is known, and the chip's temperature."""

    rails: tuple[PowerSensor, ...]
    temperature: SysFSSensor | None

    def read(self, clock_mhz: float | None = None) -> SensorReading:
        """Raises OSError when a sensor cannot be read."""
        powers = MultiSensor(self.rails).get_values()
        return SensorReading(
            power_w=sum(powers) if powers else None,
            power_of=f"rails {', '.join(rail.name for rail in self.rails)}" if self.rails else "",
            temperature_c=None if self.temperature is None else self.temperature.value,
            clock_mhz=clock_mhz,
        )


def find_sensors(hwmon: Path = HWMON) -> BoardSensors:
    """Everything under ``hwmon``; chips that measure no power rail, such as disks, are left out."""
    rails: list[PowerSensor] = []
    temperature = None
    for chip in sorted(hwmon.glob("hwmon*")):
        name = _text(chip / "name")
        if _POWER_CHIPS.fullmatch(name.partition("_")[0].lower()):
            rails += _rails(chip, name)
        elif temperature is None and _CHIP_TEMPERATURES.search(name.lower()) and (chip / "temp1_input").is_file():
            temperature = SysFSSensor(str(chip / "temp1_input"), "C", name, 1e-3)
    return BoardSensors(tuple(rails), temperature)


def _rails(chip: Path, name: str) -> list[PowerSensor]:
    """The power that the chip measures, else voltage times current of the pairs that it measures."""
    measured = sorted(chip.glob("power*_input"))
    if measured:
        return [SysFSSensor(str(path), "W", _label(path, name), 1e-6) for path in measured]
    rails: list[PowerSensor] = []
    for current in sorted(chip.glob("curr*_input")):
        voltage = chip / current.name.replace("curr", "in")
        if voltage.is_file():
            label = _label(current, name)
            rails.append(
                DerivedPowerSensor(
                    label,
                    SysFSSensor(str(voltage), "V", f"{label}_voltage", 1e-3),
                    SysFSSensor(str(current), "A", f"{label}_current", 1e-3),
                )
            )
    return rails


def _label(path: Path, chip: str) -> str:
    return _text(path.with_name(path.name.replace("_input", "_label"))) or chip


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""

"""Power, temperature and clock of a PCIe card, from the JSON texts that XRT gives for it.

The texts are those of pyxrt's ``device.get_info``, and parts of ``xbutil examine --format JSON``; every value in them
is a text. Written after XRT's sensor.cpp and info_platform.cpp (2022.1 to 2026); never read from a card.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from host.boards.conditions import SensorReading

JsonObject = dict[str, object]


def parse_sensors(electrical: str, thermal: str, platform: str) -> SensorReading:
    """What is missing, not present, or no number, is None."""
    return SensorReading(
        power_w=_number(_object(electrical).get("power_consumption_watts")),
        power_of="the card",
        temperature_c=_fpga_temperature(_object(thermal)),
        clock_mhz=_data_clock(_object(platform)),
    )


def _fpga_temperature(thermal: JsonObject) -> float | None:
    """Of the FPGA itself, not of the card's other places."""
    for place in _objects(thermal.get("thermals")):
        if place.get("location_id") == "fpga0" and place.get("is_present") == "true":
            return _number(place.get("temp_C"))
    return None


def _data_clock(platform: JsonObject) -> float | None:
    """The clock of kernels; the one called "Kernel" is the second clock of RTL kernels."""
    for found in _objects(platform.get("platforms")):
        clocks = found.get("clocks")
        for clock in _objects(clocks.get("clocks") if isinstance(clocks, dict) else None):
            if clock.get("description") == "Data":
                return _number(clock.get("freq_mhz"))
    return None


def _object(text: str) -> JsonObject:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _objects(value: object) -> Iterator[JsonObject]:
    yield from (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _number(value: object) -> float | None:
    """Positive: a sensor that is not there reads as 0."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None

"""Power, temperature and clock are what the sensors say, and absent where there are none."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from host.boards.conditions import Conditions, SensorReading, observe
from host.boards.pynq_sensors import find_sensors
from host.boards.xrt_sensors import parse_sensors
from host.devices.faults import DeviceFault

# As XRT's property trees are written: sensor.cpp (read_legacy_electrical, read_legacy_thermals), info_platform.cpp.
ELECTRICAL = """
{
    "power_rails": [
        {"id": "12v_aux", "description": "12 Volts Auxillary",
         "voltage": {"volts": "12.155", "is_present": "true"}, "current": {"amps": "0.452", "is_present": "true"}},
        {"id": "vccint", "description": "Internal FPGA Vcc",
         "voltage": {"volts": "0.850", "is_present": "true"}, "current": {"amps": "11.100", "is_present": "true"}}
    ],
    "power_consumption_max_watts": "225",
    "power_consumption_watts": "27.414672",
    "power_consumption_warning": "false"
}
"""
THERMAL = """
{
    "thermals": [
        {"location_id": "pcb_top_front", "description": "PCB Top Front", "temp_C": "34", "is_present": "true"},
        {"location_id": "fpga0", "description": "FPGA", "temp_C": "42", "is_present": "true"},
        {"location_id": "fpga_hbm", "description": "FPGA HBM", "temp_C": "0", "is_present": "false"}
    ]
}
"""
PLATFORM = """
{
    "platforms": [
        {"static_region": {"vbnv": "xilinx_u200_gen3x16_xdma_base_2"},
         "clocks": {"clocks": [
             {"id": "DATA_CLK", "description": "Data", "freq_mhz": "271"},
             {"id": "KERNEL_CLK", "description": "Kernel", "freq_mhz": "500"}]}}
    ]
}
"""


def test_a_cards_power_temperature_and_clock_are_read_from_xrts_texts() -> None:
    assert parse_sensors(ELECTRICAL, THERMAL, PLATFORM) == SensorReading(
        power_w=pytest.approx(27.414672),  # type: ignore[arg-type]  # pytest's approx has no type
        power_of="the card",
        temperature_c=42.0,
        clock_mhz=271.0,
    )


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (ELECTRICAL.replace("27.414672", "N/A"), "power_w"),
        (ELECTRICAL.replace("27.414672", "0"), "power_w"),
        ("{}", "power_w"),
        ("not JSON", "power_w"),
        ("[1]", "power_w"),
    ],
)
def test_a_power_that_xrt_does_not_know_is_absent(text: str, field: str) -> None:
    assert getattr(parse_sensors(text, THERMAL, PLATFORM), field) is None


def test_places_and_clocks_that_are_not_there_are_absent() -> None:
    cold = THERMAL.replace('"temp_C": "42", "is_present": "true"', '"temp_C": "0", "is_present": "false"')
    assert parse_sensors(ELECTRICAL, cold, PLATFORM).temperature_c is None
    assert parse_sensors(ELECTRICAL, "{}", json.dumps({"platforms": [{"clocks": ""}]})).clock_mhz is None


def hwmon(root: Path, number: int, **files: str) -> None:
    chip = root / f"hwmon{number}"
    chip.mkdir(parents=True)
    for name, text in files.items():
        (chip / name).write_text(text + "\n")


def test_a_boards_rails_are_summed_and_other_chips_left_out(tmp_path: Path) -> None:
    hwmon(tmp_path, 0, name="nvme", temp1_input="38850", power1_input="5000000")
    hwmon(tmp_path, 1, name="ina260_u14", power1_input="4010000", in1_input="5030", curr1_input="797")
    hwmon(tmp_path, 2, name="irps5401", in1_input="850", curr1_input="2000", curr1_label="vccint", curr9_input="1")
    hwmon(tmp_path, 3, name="ams", temp1_input="41250")
    sensors = find_sensors(tmp_path)
    assert [rail.name for rail in sensors.rails] == ["ina260_u14", "vccint"]
    reading = sensors.read(clock_mhz=250.0)
    assert reading.power_w == pytest.approx(4.01 + 0.85 * 2.0)
    assert reading.power_of == "rails ina260_u14, vccint"
    assert reading.temperature_c == pytest.approx(41.25)
    assert reading.clock_mhz == 250.0


def test_a_board_without_monitors_says_nothing(tmp_path: Path) -> None:
    hwmon(tmp_path, 0, name="nvme", temp1_input="38850")
    assert find_sensors(tmp_path).read() == SensorReading()
    assert find_sensors(tmp_path / "absent").read() == SensorReading()


class Card:
    """Draws more while it works."""

    def __init__(self) -> None:
        self.busy_until = 0.0
        self.launches = 0

    def launch(self) -> None:
        self.launches += 1
        self.busy_until = time.monotonic() + 0.2
        time.sleep(0.01)

    def read_sensors(self) -> SensorReading:
        return SensorReading(30.0 if time.monotonic() < self.busy_until else 20.0, "the card", 50.0, 300.0)


def test_power_under_load_is_apart_from_idle_power() -> None:
    card = Card()
    found = observe(card, card.launch, seconds=0.5)
    assert found.samples >= 2
    assert card.launches > 5
    assert (found.power_w, found.idle_power_w) == (30.0, 20.0)
    assert (found.temperature_c, found.clock_mhz, found.note) == (50.0, 300.0, "power of the card")


def test_a_device_without_sensors_is_not_kept_busy() -> None:
    def launch() -> None:
        raise AssertionError("launched")

    assert observe(object(), launch, 1.0) == Conditions(0, None, None, None, None, "no sensors")


def test_a_sensor_that_fails_costs_no_measurement() -> None:
    class Silent(Card):
        def read_sensors(self) -> SensorReading:
            if self.launches:
                raise DeviceFault("xrt:0: sensors cannot be read (timeout)")
            return super().read_sensors()

    card = Silent()
    assert observe(card, card.launch, 0.3).power_w is None
    assert observe(card, card.launch, 0.3).note == "xrt:0: sensors cannot be read (timeout)"

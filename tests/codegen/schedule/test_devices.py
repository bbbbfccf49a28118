"""Part names: their fabric and speed grade, and what stands for a device that no report shows."""

from __future__ import annotations

import pytest

from codegen.schedule.devices import device_of, is_seven_series, nearest


@pytest.mark.parametrize(
    ("part", "device"),
    [
        ("xcu280-fsvh2892-2L-e", "virtexuplus -2"),
        ("xcvu11p-flga2577-1-e", "virtexuplus -1"),
        ("xczu7ev-ffvc1156-2-e", "zynquplus -2"),
        ("xck26-sfvc784-2LV-c", "zynquplus -2"),
        ("xczu3eg-sbva484-1-i", "zynquplus -1"),
        ("xcku040-ffva1156-2-e", "kintexu -2"),
        ("xc7z020-clg400-1", "artix7 -1"),
        ("xa7a12tcsg325-1q", "artix7 -1"),
        ("xc7z045ffg900-2", "kintex7 -2"),
        ("xc7vx690t-ffg1761-2", "kintex7 -2"),
        ("xcvc1902-vsva2197-2MP-e-S", "versal -2"),
        ("something", "virtexuplus -2"),
    ],
)
def test_fabric_and_grade_of_a_part(part: str, device: str) -> None:
    assert device_of(part) == device
    assert is_seven_series(part) == device.startswith(("artix7", "kintex7"))


def test_another_grade_of_the_fabric_is_nearer_than_another_fabric() -> None:
    found = nearest("zynquplus -1")
    assert found[:2] == ("zynquplus -1", "zynquplus -2")
    assert found.index("zynquplus -3") < found.index("virtexuplus -1")

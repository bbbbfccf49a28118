"""Fabric and speed grade of a part name: what the delay of an operator depends on beside its clock and width."""

from __future__ import annotations

import re

# As Vitis HLS names its libraries. Zynq UltraScale+ has one of its own, slower than that of Virtex UltraScale+ (adders
# of 32 bits cost 1.01 and 0.88 ns at grade -2), and the small Zynq-7000 have Artix-7's.
_FABRICS = (
    (re.compile(r"^xcv[cmpeh]\d{4}"), "versal"),
    (re.compile(r"^(xa?c?zu|xck2\d)"), "zynquplus"),
    (re.compile(r"^(xcu\d|xcvu\d+p|xcku\d+p)"), "virtexuplus"),
    (re.compile(r"^(xcku|xcvu)"), "kintexu"),
    (re.compile(r"^(xc7k|xc7v|xc7z(030|035|045|100))"), "kintex7"),
    (re.compile(r"^(xc7|xa7)"), "artix7"),
)
_UNKNOWN = "virtexuplus"
# The letters behind the digit (-2L, -2LV, -2MP) are other voltages; no delay in the reports depends on them.
_GRADE = re.compile(r"-(?P<grade>[123])(?:LV|L|MP|HP|LP)?(?:[qie]\w*)?(?:-|$)")
_SIMILAR = {
    "versal": ("virtexuplus", "zynquplus"),
    "zynquplus": ("virtexuplus",),
    "virtexuplus": ("zynquplus",),
    "kintexu": ("virtexuplus", "zynquplus"),
    "kintex7": ("artix7", "virtexuplus"),
    "artix7": ("kintex7", "virtexuplus"),
}
_GRADES = ("2", "1", "3")


def device_of(part: str) -> str:
    """``virtexuplus -2`` for xcu280-fsvh2892-2L-e; an unknown part counts as Virtex UltraScale+, grade -2."""
    name = part.lower()
    fabric = next((label for pattern, label in _FABRICS if pattern.match(name)), _UNKNOWN)
    match = _GRADE.search(part.partition("-")[2] and "-" + part.partition("-")[2])
    return f"{fabric} -{match['grade'] if match else '2'}"


def series_of(device: str) -> str:
    """``plus`` for both UltraScale+ fabrics and ``7`` for both of 7-series, which have one kind of DSP slice each."""
    fabric = device.split()[0]
    return next((series for series in ("plus", "7") if fabric.endswith(series)), fabric)


def is_seven_series(part: str) -> bool:
    """Whether an adder of three inputs is two adders, and a DSP slice a DSP48E1."""
    return series_of(device_of(part)) == "7"


def nearest(device: str) -> tuple[str, ...]:
    """``device``, and then those that stand for it where it was never seen: other grades of its fabric first."""
    fabric, grade = device.split(" -")
    grades = (grade, *(other for other in _GRADES if other != grade))
    return tuple(f"{name} -{each}" for name in (fabric, *_SIMILAR[fabric]) for each in grades)

"""Device series and speed grade of a part name, and the era of a tool: what an operator's delay depends on."""

from __future__ import annotations

import re

_SERIES = (
    (re.compile(r"^xcv[cmpeh]\d{4}"), "versal"),
    (re.compile(r"^(xcu\d|xcvu\d+p|xczu|xck2\d|xcku\d+p|xa?zu)"), "us+"),
    (re.compile(r"^(xcku|xcvu)"), "us"),
    (re.compile(r"^(xc7|xa7)"), "7"),
)
_GRADE = re.compile(r"-(?P<grade>[123](?:LV|L|MP|HP|LP)?)(?:[qie]\w*)?(?:-|$)")
_NEAREST = ("us+ -2", "us+ -2L", "us+ -1", "us+ -2LV", "us -2", "versal -2MP", "7 -2", "7 -1")
# From 2023.1 comparators are charged more and storages print an input and an output delay.
_NEW_ERA = "2023"


def device_of(part: str) -> str:
    """``us+ -2L`` for xcu280-fsvh2892-2L-e; an unknown part counts as UltraScale+ -2."""
    name = part.lower()
    series = next((label for pattern, label in _SERIES if pattern.match(name)), "us+")
    match = _GRADE.search(part.partition("-")[2] and "-" + part.partition("-")[2])
    return f"{series} -{match['grade'] if match else '2'}"


def tool_era(version: str) -> str:
    """``old`` before Vitis HLS 2023.1, else ``new``."""
    return "new" if version >= _NEW_ERA else "old"


def nearest(device: str) -> tuple[str, ...]:
    """``device``, and then those that stand for it where it was never seen: of its own series first."""
    series = device.split()[0]
    return device, *sorted(_NEAREST, key=lambda name: name.split()[0] != series)

"""A class name stands for one thing, so that a search for it finds one."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLASS = re.compile(r"^class (\w+)", re.MULTILINE)


def test_no_two_classes_have_one_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for room in ("aebert", "codegen", "host"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for name in CLASS.findall(path.read_text(encoding="utf-8")):
                places[name].append(path.relative_to(ROOT).as_posix())
    assert len(places) > 500
    assert {name: found for name, found in places.items() if len(found) > 1} == {}

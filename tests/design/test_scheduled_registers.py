"""Registers of scheduled loops take the place of those that the closed form counts, unit by unit."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from aebert.design.board import load_board
from aebert.design.board_fit import check_fit
from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_resources import KernelResources
from aebert.design.operator_areas import operator_areas
from aebert.design.scheduled_registers import with_scheduled_registers
from aebert.design.size_arrays import Floats

CONFIG = HardwareConfig(tokens=16, out_lanes=4, in_lanes=8, max_hidden=64, max_ffn=128, max_length=32, max_groups=2)
COUNTED = check_fit(CONFIG, load_board("u200")).resources


def _number(count: Floats | float) -> float:
    return float(np.max(count))


def _changed(found: KernelResources) -> set[str]:
    names = [each.name for each in fields(KernelResources)]
    return {name for name in names if _number(getattr(found, name).ff) != _number(getattr(COUNTED, name).ff)}


def test_a_units_registers_are_those_of_its_loops_as_placed() -> None:
    found = with_scheduled_registers(
        COUNTED, {"layer_norm.Add": 1000, "layer_norm.Scales": 500, "read_input.Words": 9}, 1
    )
    assert _changed(found) == {"layer_norm"}
    counted = COUNTED.layer_norm
    assert _number(found.layer_norm.registers) == pytest.approx(operator_areas().placed_ff.middle * 1500)
    assert _number(found.layer_norm.ff) == pytest.approx(
        _number(counted.ff) - _number(counted.registers) + operator_areas().placed_ff.middle * 1500
    )
    assert _number(found.layer_norm.lut) == _number(counted.lut)


def test_the_engines_registers_are_dealt_out_to_its_parts() -> None:
    found = with_scheduled_registers(COUNTED, {"engine.Steps": 7000}, 1)
    assert _changed(found) == {"engine_array", "engine_fetch"}
    parts = [_number(part.registers) for part in (found.engine_array, found.engine_fetch)]
    before = [_number(part.registers) for part in (COUNTED.engine_array, COUNTED.engine_fetch)]
    assert sum(parts) == pytest.approx(operator_areas().placed_ff.middle * 7000)
    assert parts[0] / parts[1] == pytest.approx(before[0] / before[1])


def test_without_a_schedule_nothing_changes() -> None:
    assert _changed(with_scheduled_registers(COUNTED, {}, 1)) == set()


def test_what_every_engine_has_is_there_as_often() -> None:
    found = with_scheduled_registers(COUNTED, {"requantise.Vectors": 700, "fetch_tiles.Tiles": 90}, 4)
    share = operator_areas().placed_ff.middle
    assert _number(found.requantise.registers) == pytest.approx(share * 4 * 700)
    assert _number(found.fetch_tiles.registers) == pytest.approx(share * 90)

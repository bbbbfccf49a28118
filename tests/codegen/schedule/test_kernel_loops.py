"""Today's kernel at 300 MHz on an UltraScale+ of speed grade -2, where a state may take 2.43 ns."""

from __future__ import annotations

import pytest

from codegen.schedule.graph import LoopGraph
from codegen.schedule.lanes import merge_lanes
from codegen.schedule.operator_model import fitted_model
from codegen.schedule.result import LoopSchedule
from codegen.schedule.scheduler import schedule_loop


@pytest.fixture(scope="module")
def schedules(graphs: tuple[LoopGraph, ...]) -> dict[str, LoopSchedule]:
    model = fitted_model()
    return {f"{each.process}.{each.label}": schedule_loop(merge_lanes(each).graph, model) for each in graphs}


def test_every_marked_loop_is_there(graphs: tuple[LoopGraph, ...]) -> None:
    assert len(graphs) == 32
    assert sum(graph.pipelined for graph in graphs) == 20


def test_every_loop_has_the_ii_that_it_asks_for_within_the_clock(schedules: dict[str, LoopSchedule]) -> None:
    for name, found in schedules.items():
        assert found.initiation_interval == found.target_ii, name
        assert not found.misses_clock, name


def test_the_divider_is_as_deep_as_its_operand_is_wide(schedules: dict[str, LoopSchedule]) -> None:
    assert 35 <= schedules["reciprocals.Tokens"].depth <= 41

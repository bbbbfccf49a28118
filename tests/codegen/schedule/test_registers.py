"""Flip-flops of scheduled loops, on loops where they are known by counting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codegen.schedule.graph import Access, LoopGraph, Storage, StorageKind
from codegen.schedule.lanes import merge_lanes
from codegen.schedule.operator_model import fitted_model
from codegen.schedule.registers import register_bits
from codegen.schedule.scheduler import schedule_loop
from tests.codegen.schedule import small_graphs as small


def test_values_that_cross_a_stage_become_registers() -> None:
    graph = small.chain([2.0, 2.0, 2.0])
    schedule = schedule_loop(graph, fitted_model())
    assert register_bits(graph, schedule) == 16


def test_a_value_that_is_used_late_is_kept_in_every_stage_until_then() -> None:
    graph = small.loop(
        [small.op("add", 2.0), small.op("add", 2.0), small.op("add", 2.0), small.op("add", 2.0)],
        [small.data(0, 1), small.data(1, 2), small.data(2, 3), small.data(0, 3)],
    )
    schedule = schedule_loop(graph, fitted_model())
    assert register_bits(graph, schedule) == 40


def test_two_stages_of_one_interval_share_a_register_and_a_sequential_loop_keeps_each_value_once() -> None:
    graph = small.loop(
        [small.op("add", 2.0), small.op("add", 2.0), small.op("add", 2.0), small.op("add", 2.0)],
        [small.data(0, 1), small.data(1, 2), small.data(2, 3), small.data(0, 3)],
    )
    schedule = schedule_loop(graph, fitted_model())
    assert register_bits(graph, replace(schedule, initiation_interval=2)) == 4 * 8
    assert register_bits(replace(graph, pipelined=False), schedule) == 3 * 8


def test_what_a_loop_carries_has_a_register_of_its_own() -> None:
    graph = small.register([1.5, 1.5])
    schedule = schedule_loop(graph, fitted_model())
    without = register_bits(replace(graph, carried=()), schedule)
    assert register_bits(graph, schedule) == without + 8


def test_a_value_that_the_next_iteration_takes_is_kept_an_interval_longer() -> None:
    graph = small.loop([small.op("add", 2.0), small.op("add", 2.0)], [small.data(0, 1), small.data(0, 0, 1)])
    schedule = replace(schedule_loop(graph, fitted_model()), depth=4)
    assert register_bits(graph, schedule) == 8
    later = replace(graph, dependences=(small.data(0, 1), small.data(0, 0, 2)))
    assert register_bits(later, schedule) == 16


def test_of_a_constant_table_what_was_chosen_is_kept_and_not_all_of_its_entries() -> None:
    table = Storage("t", StorageKind.ROM, 4096, depth=1)
    load = replace(small.op("load", 1.0, 1, 1.0, access=Access("t")), bits=4096)
    graph = small.loop([load, small.op("mux", 2.9)], [small.data(0, 1)], storages={"t": table})
    schedule = schedule_loop(graph, fitted_model())
    assert schedule.cycles[1] > schedule.last_cycles[0]
    assert register_bits(graph, schedule) == 8
    memory = replace(table, kind=StorageKind.MEMORY)
    assert register_bits(replace(graph, storages={"t": memory}), schedule) == 4096


def test_lanes_that_are_scheduled_once_have_each_their_registers(graphs: tuple[LoopGraph, ...]) -> None:
    model = fitted_model()
    for graph in graphs:
        merged = merge_lanes(graph)
        whole, once = schedule_loop(graph, model), schedule_loop(merged.graph, model)
        assert register_bits(graph, once, merged.place) == register_bits(graph, whole), graph.label
        if graph.process == "engine":
            assert register_bits(graph, whole) > 1.5 * register_bits(merged.graph, once)


@pytest.mark.parametrize("delay", [1.0, 2.9])
def test_a_loop_of_one_stage_needs_none(delay: float) -> None:
    graph = small.chain([delay])
    assert register_bits(graph, schedule_loop(graph, fitted_model())) == 0

"""The modulo scheduler on loops whose schedule is known by counting, and what no schedule may violate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.schedule.constraints import Arc, constrain
from codegen.schedule.graph import (
    OUTSIDE,
    Access,
    Carried,
    Dependence,
    DependenceKind,
    LoopGraph,
    Operand,
    Operation,
    Storage,
    StorageKind,
)
from codegen.schedule.operator_model import fitted_model
from codegen.schedule.result import Limit, LoopSchedule
from codegen.schedule.rules import VITIS
from codegen.schedule.scheduler import schedule_loop
from tests.codegen.schedule import small_graphs as small


def scheduled(graph: LoopGraph, **rules: bool) -> LoopSchedule:
    return schedule_loop(graph, fitted_model(), replace(VITIS, **rules))


def test_operators_chain_up_to_the_budget_and_then_take_the_next_state() -> None:
    found = scheduled(small.chain([1.0, 1.0, 1.0, 1.0]))
    assert found.cycles == (0, 0, 0, 1)
    assert (found.initiation_interval, found.depth) == (1, 2)
    assert found.clock_ns == pytest.approx(3.0)


def test_a_register_is_bypassed_at_no_cost_where_no_ii_was_asked_for() -> None:
    found = scheduled(small.register([1.5, 1.5]))
    assert (found.initiation_interval, found.depth) == (1, 2)
    assert not found.misses_clock


def test_ii_asked_for_keeps_the_register_and_lets_the_clock_give_way() -> None:
    found = scheduled(small.register([1.5, 1.5], target_ii=1, ii_is_explicit=True))
    assert (found.initiation_interval, found.depth) == (1, 1)
    assert found.clock_ns == pytest.approx(3.4)
    assert found.misses_clock


def test_an_operator_of_four_cycles_between_register_accesses_needs_ii_4() -> None:
    found = scheduled(small.register([2.5], [4]))
    assert found.initiation_interval == 4
    assert found.limits[-1].kind is Limit.RECURRENCE
    assert "add" in found.limits[-1].chain[0].description + found.limits[-1].chain[1].description


@pytest.mark.parametrize(
    ("opcodes", "interval"), [(("select", "fadd"), 5), (("fadd",), 4), (("select", "add"), 4), (("select", "fmul"), 5)]
)
def test_a_value_past_its_register_has_its_delay_before_an_operator_in_logic(
    opcodes: tuple[str, ...], interval: int
) -> None:
    delays = [0.4, 2.5] if len(opcodes) == 2 else [2.5]
    graph = small.register(delays, [0, 4][-len(opcodes) :])
    operations = list(graph.operations)
    operations[1:-1] = [replace(op, opcode=opcode) for op, opcode in zip(operations[1:-1], opcodes, strict=True)]
    graph = replace(graph, operations=tuple(operations))
    assert scheduled(graph).initiation_interval == interval
    assert scheduled(graph, bypass_behind_value=False).initiation_interval == 4


def test_a_slice_takes_the_product_of_another_in_the_next_state() -> None:
    graph = small.loop([small.op("mul", 0.5, 3), small.op("add", 0.5, 1, 0.5)], [small.data(0, 1)])
    assert scheduled(graph).cycles == (0, 4)
    assert scheduled(graph, slice_after_slice=False).cycles == (0, 3)
    logic = small.loop([small.op("mul", 0.5, 3), small.op("add", 0.5)], [small.data(0, 1)])
    assert scheduled(logic).cycles == (0, 3)


@pytest.mark.parametrize("initial", [Operand(33), Operand(33, constant=0)])
@pytest.mark.parametrize(
    ("bits", "store_ns", "initial_ns", "first"),
    [(33, 0.4, 0.4, 1), (64, 0.4, 0.0, 1), (33, 0.0, 0.0, 0), (32, 0.4, 0.4, 0), (1, 0.4, 0.4, 0)],
)
def test_a_wide_register_is_read_late_behind_its_multiplexer(
    initial: Operand, bits: int, store_ns: float, initial_ns: float, first: int
) -> None:
    graph = small.register([2.0, 2.0])
    load, *middle, _ = graph.operations
    operations = (replace(load, bits=bits), *middle, small.op("store", store_ns, access=Access("r")))
    carried = replace(graph.carried[0], initial=initial, initial_delay_ns=initial_ns)
    found = replace(graph, operations=operations, carried=(carried,))
    assert scheduled(found).cycles[0] == first
    assert scheduled(found, wide_register_read_late=False).cycles[0] == 0


@pytest.mark.parametrize("further", [False, True])
@pytest.mark.parametrize(("bits", "first"), [(32, 0), (33, 1)])
def test_a_loop_whose_exit_test_needs_a_wide_register_begins_in_the_second_state(
    bits: int, first: int, further: bool
) -> None:
    counter, kept = (Access(name) for name in ("counter", "kept"))
    operations = [
        replace(small.op("load", access=counter), bits=bits),
        small.op("icmp", 0.7),
        small.op("store", 0.4, access=counter),
        small.op("load", access=kept),
        small.op("store", 0.4, access=kept),
    ]
    dependences = [small.data(0, 1), small.data(0, 2), small.data(2, 0, 1), small.data(3, 4), small.data(4, 3, 1)]
    found = small.loop(
        operations,
        dependences,
        storages={name: Storage(name, StorageKind.REGISTER, 8) for name in ("counter", "kept")},
        carried=tuple(Carried(load, store, Operand(8, constant=0)) for load, store in ((0, 2), (3, 4))),
        **({"exit_test": 4, "further_exits": (1,)} if further else {"exit_test": 1}),
    )
    assert [scheduled(found).cycles[load] for load in (0, 3)] == [first, first]
    assert scheduled(found).initiation_interval == 1


@pytest.mark.parametrize(
    ("guard", "first"),
    [
        (small.op("icmp", 0.7), 1),
        (small.op("load", access=Access("r")), 0),  # a register's
        (small.op(OUTSIDE), 0),
        (small.op("bitselect", operands=(Operand(8),)), 0),  # of a value from outside
        (small.op("nbreadreq", access=Access("s")), 0),  # the stream's own status
    ],
    ids=["test", "register", "outside", "bit", "status"],
)
def test_a_stream_is_written_in_the_state_after_the_test_that_guards_it(guard: Operation, first: int) -> None:
    write = small.op("write", 1.0, access=Access("s"), predicate=(frozenset({(0, True)}),))
    graph = small.loop(
        [guard, write],
        [Dependence(0, 1, DependenceKind.PREDICATE)],
        storages={"s": Storage("s", StorageKind.STREAM, 8), "r": Storage("r", StorageKind.REGISTER, 1)},
        carried=(Carried(0, None, Operand(1, constant=0)),) if guard.opcode == "load" else (),
    )
    assert scheduled(graph).cycles == (0, first)
    assert scheduled(graph, access_after_tests=False).cycles == (0, 0)


@pytest.mark.parametrize(
    ("bits", "outlined", "depth", "first"),
    [((16, 16), True, 2, 0), ((16, 17), True, 3, 1), ((16, 17), False, 2, 0)],
)
def test_the_first_state_of_an_outlined_loop_reads_a_word(
    bits: tuple[int, int], outlined: bool, depth: int, first: int
) -> None:
    """Two registers that an adder of two states needs: both must be read in the first, or the depth grows."""
    access = [Access(name) for name in ("a", "b")]
    operations = [replace(small.op("load", access=each), bits=n) for each, n in zip(access, bits, strict=True)]
    operations += [small.op("add", 2.0, 1, 0.5), small.op("icmp", 0.5)]
    operations += [small.op("store", 0.4, access=each) for each in access]
    dependences = [small.data(*pair) for pair in ((0, 2), (1, 2), (0, 4), (1, 5), (0, 3))]
    graph = small.loop(
        operations,
        dependences,
        storages={name: Storage(name, StorageKind.REGISTER, 8) for name in ("a", "b")},
        carried=tuple(Carried(load, load + 4, Operand(8, constant=0)) for load in (0, 1)),
        exit_test=3,
        outlined=outlined,
    )
    found = scheduled(graph)
    assert (found.depth, found.cycles[:2]) == (depth, (first, first))
    assert scheduled(graph, one_word_in_first_state=False).depth == 2


def test_a_register_that_is_read_twice_takes_its_bits_of_the_first_state_once() -> None:
    access = Access("a")
    operations = [replace(small.op("load", access=access), bits=20) for _ in range(2)]
    operations += [small.op("add", 2.0, 1, 0.5), small.op("store", 0.4, access=access)]
    graph = small.loop(
        operations,
        [small.data(*pair) for pair in ((0, 2), (1, 2), (0, 3))],
        storages={"a": Storage("a", StorageKind.REGISTER, 8)},
        carried=tuple(Carried(load, 3, Operand(8, constant=0)) for load in (0, 1)),
        outlined=True,
    )
    assert scheduled(graph).cycles[:2] == (0, 0)


def test_a_register_that_can_wait_is_none_of_the_first_state_s_word() -> None:
    access = [Access(name) for name in ("a", "b")]
    operations = [replace(small.op("load", access=each), bits=20) for each in access]
    operations += [small.op("add", 2.0, 1, 0.5), small.op("add", 1.0)]
    operations += [small.op("store", 0.4, access=each) for each in access]
    graph = small.loop(
        operations,
        [small.data(*pair) for pair in ((0, 2), (2, 3), (1, 3), (0, 4), (1, 5))],
        storages={name: Storage(name, StorageKind.REGISTER, 8) for name in ("a", "b")},
        carried=tuple(Carried(load, load + 4, Operand(8, constant=0)) for load in (0, 1)),
        outlined=True,
    )
    assert scheduled(graph).depth == scheduled(graph, one_word_in_first_state=False).depth == 2


def test_a_load_and_a_store_of_one_address_share_a_port() -> None:
    def accesses(address: str) -> LoopGraph:
        storages = {"m": Storage("m", StorageKind.MEMORY, 8, depth=64, ports=1)}
        operations = [
            small.op("load", 1.0, 1, 1.0, access=Access("m", address="a")),
            small.op("store", 1.0, access=Access("m", address=address)),
        ]
        return small.loop(operations, [], storages=storages)

    assert scheduled(accesses("a")).initiation_interval == 1
    assert scheduled(accesses("b")).initiation_interval == 2


@pytest.mark.parametrize(("loads", "ports", "interval"), [(2, 2, 1), (3, 2, 2), (8, 2, 4), (8, 1, 8)])
def test_loads_need_as_many_cycles_as_ports_allow(loads: int, ports: int, interval: int) -> None:
    found = scheduled(small.memory_loads(loads, ports))
    assert found.initiation_interval == interval
    assert bool(found.limits) == (interval > 1)


def test_accesses_under_exclusive_predicates_share_a_port() -> None:
    graph = small.memory_loads(2, 1)
    test = small.op("icmp", 0.5)
    operations = [replace(o, predicate=(frozenset({(2, bool(i))}),)) for i, o in enumerate(graph.operations)]
    both = replace(graph, operations=(*operations, test))
    assert scheduled(both).initiation_interval == 1
    assert scheduled(both, exclusive_accesses_share_port=False).initiation_interval == 2


@pytest.mark.parametrize("kind", [StorageKind.STREAM, StorageKind.AXI])
def test_a_stream_or_port_is_read_in_the_state_after_the_exit_test(kind: StorageKind) -> None:
    graph = replace(small.stream_behind_test(), storages={"s": Storage("s", kind, 8)})
    assert scheduled(graph).cycles == (0, 1)
    assert scheduled(graph, access_after_tests=False).cycles == (0, 0)


def test_an_exit_test_that_comes_late_raises_ii() -> None:
    graph = replace(small.chain([2.5, 2.5]), exit_test=1)
    found = scheduled(graph)
    assert found.initiation_interval == 2
    assert found.limits[0].kind is Limit.EXIT_TEST
    assert scheduled(graph, exit_test_in_first_interval=False).initiation_interval == 1


def test_the_next_iteration_loads_after_the_store() -> None:
    storages = {"m": Storage("m", StorageKind.MEMORY, 8, depth=8, ports=2)}
    operations = [
        small.op("load", 1.0, 1, 1.0, access=Access("m")),
        small.op("add", 1.0),
        small.op("store", 1.0, access=Access("m")),
    ]
    carried = Dependence(2, 0, DependenceKind.MEMORY, 1, 1)
    graph = small.loop(operations, [small.data(0, 1), small.data(1, 2), carried], storages=storages)
    assert scheduled(graph).initiation_interval == 2
    assert scheduled(graph, load_after_store=False).initiation_interval == 1


def test_the_critical_chain_names_operators_lines_and_delays() -> None:
    found = scheduled(small.chain([1.0, 1.5]))
    assert [(link.line, link.delay_ns) for link in found.critical] == [("k.cpp:1", 1.0), ("k.cpp:1", 1.5)]


@st.composite
def random_loops(draw: st.DrawFn) -> LoopGraph:
    """Operators in a random order of dependence, some carried, with accesses of one memory among them."""
    size = draw(st.integers(2, 14))
    storages = {"m": Storage("m", StorageKind.MEMORY, 8, depth=64, ports=draw(st.integers(1, 2)))}
    operations = []
    for index in range(size):
        delay, latency = draw(st.sampled_from([0.0, 0.4, 1.1, 2.9])), draw(st.sampled_from([0, 0, 0, 1, 3]))
        access = Access("m", address=str(index)) if draw(st.booleans()) else None
        operations.append(
            small.op("load" if access else "add", delay, latency, delay if latency else 0.0, access=access)
        )
    dependences = []
    for sink in range(1, size):
        sources = draw(st.lists(st.integers(0, sink - 1), max_size=3, unique=True))
        dependences += [small.data(source, sink) for source in sources]
    for _ in range(draw(st.integers(0, 2))):
        source = draw(st.integers(0, size - 1))
        dependences.append(small.data(source, draw(st.integers(0, source)), draw(st.integers(1, 2))))
    return small.loop(operations, dependences, storages=storages)


@settings(max_examples=120, deadline=None)
@given(random_loops())
def test_a_schedule_violates_no_dependence_port_or_budget(graph: LoopGraph) -> None:
    found = scheduled(graph)
    interval = found.initiation_interval
    timings = [operation.timing for operation in graph.operations]
    for constraint in constrain(graph, [t for t in timings if t], VITIS).constraints:
        timing = timings[constraint.source]
        assert timing is not None
        end = found.cycles[constraint.source] + timing.latency - constraint.distance * interval
        begin = found.cycles[constraint.sink]
        assert begin >= end + (constraint.cycles if constraint.arc is Arc.CYCLES else 0)
        if constraint.arc is Arc.CHAIN and begin == end:
            assert found.offsets_ns[constraint.sink] >= found.finish_ns[constraint.source] - 1e-9
    for operation, offset in zip(graph.operations, found.offsets_ns, strict=True):
        assert operation.timing is not None
        assert offset + operation.timing.delay_ns <= small.BUDGET_NS + 0.006
    slots: dict[int, int] = {}
    for access in found.accesses:
        slots[access.stage % interval] = slots.get(access.stage % interval, 0) + 1
    assert all(count <= graph.storages["m"].ports for count in slots.values())


@settings(max_examples=60, deadline=None)
@given(random_loops())
def test_ii_is_no_less_than_ports_and_whole_cycles_of_recurrences_demand(graph: LoopGraph) -> None:
    found = scheduled(graph)
    loads = sum(operation.access is not None for operation in graph.operations)
    assert found.initiation_interval >= -(-loads // graph.storages["m"].ports)
    for dependence in graph.dependences:
        timing = graph.operations[dependence.source].timing
        if dependence.distance and dependence.source == dependence.sink and timing:
            assert found.initiation_interval * dependence.distance >= timing.latency

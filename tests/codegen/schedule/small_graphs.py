"""Hand-made loops whose II, depth and clock are known by counting."""

from __future__ import annotations

from codegen.schedule.graph import (
    Access,
    Carried,
    Dependence,
    DependenceKind,
    DesignContext,
    LoopGraph,
    Operand,
    Operation,
    Storage,
    StorageKind,
    Timing,
)

CONTEXT = DesignContext(
    clock_period_ns=4.0, part="xcu280-fsvh2892-2L-e", tool_version="2022.2", clock_uncertainty_ns=1.0
)
BUDGET_NS = 3.0


def op(opcode: str, delay_ns: float = 0.0, latency: int = 0, output_ns: float = 0.0, **more: object) -> Operation:
    return Operation(opcode, opcode, 8, timing=Timing(latency, delay_ns, output_ns), line="k.cpp:1", **more)  # type: ignore[arg-type]


def data(source: int, sink: int, distance: int = 0) -> Dependence:
    return Dependence(source, sink, DependenceKind.DATA, distance)


def loop(operations: list[Operation], dependences: list[Dependence], **more: object) -> LoopGraph:
    return LoopGraph("process", "Loop", CONTEXT, tuple(operations), tuple(dependences), **more)  # type: ignore[arg-type]


def chain(delays: list[float]) -> LoopGraph:
    return loop([op("add", delay) for delay in delays], [data(i, i + 1) for i in range(len(delays) - 1)])


def register(delays: list[float], latencies: list[int] | None = None, **more: object) -> LoopGraph:
    """A register that is read, goes through operators, and is written: a recurrence of distance 1."""
    latencies = latencies or [0] * len(delays)
    access = Access("r")
    middle = [op("add", d, n, d if n else 0.0) for d, n in zip(delays, latencies, strict=True)]
    operations = [op("load", access=access), *middle, op("store", 0.4, access=access)]
    last = len(operations) - 1
    dependences = [data(i, i + 1) for i in range(last)] + [data(last, 0, 1)]
    storages = {"r": Storage("r", StorageKind.REGISTER, 8)}
    carried = (Carried(0, last, Operand(8, constant=0)),)
    return loop(operations, dependences, storages=storages, carried=carried, **more)


def memory_loads(count: int, ports: int) -> LoopGraph:
    loads = [op("load", 1.0, 1, 1.0, access=Access("m", address=str(index))) for index in range(count)]
    return loop(loads, [], storages={"m": Storage("m", StorageKind.MEMORY, 8, depth=64, ports=ports)})


def stream_behind_test() -> LoopGraph:
    """while (i != n) read: the exit test, and a FIFO read under it."""
    test = op("icmp", 0.7)
    read = op("read", 1.0, access=Access("s"), predicate=(frozenset({(0, False)}),))
    return loop(
        [test, read],
        [Dependence(0, 1, DependenceKind.PREDICATE)],
        storages={"s": Storage("s", StorageKind.STREAM, 8)},
        exit_test=0,
    )

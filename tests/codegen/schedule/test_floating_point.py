"""Floating-point operators: what Vitis chose under its clock, and what follows where it was never seen."""

from __future__ import annotations

import pytest

from codegen.schedule.floating_point import FloatingPoint, core_family
from codegen.schedule.graph import DesignContext, LoopGraph, Operand, Operation, Timing
from codegen.schedule.operator_model import fitted_model

FAST, SLOW = "virtexuplus -2", "artix7 -1"

MODEL = FloatingPoint(
    delays={"fadd": {FAST: {4: (3.0, 3.0), 6: (2.3, 2.3)}}, "fadd_nodsp": {FAST: {7: (1.5, 1.5)}}},
    choices={
        "fadd": {FAST: [(3.65, 4), (2.43, 6)], SLOW: [(7.2, 6)]},
        "fadd_nodsp": {FAST: [(1.8, 7)]},
        "fdiv": {FAST: [(2.43, 11)]},
    },
    factors={FAST: 1.0, SLOW: 2.0},
)


def latency(device: str, opcode: str, budget: float) -> int:
    found = MODEL.timing(device, opcode, budget)
    assert found is not None
    return found.latency


def test_the_fewest_cycles_whose_states_fit_are_taken() -> None:
    assert MODEL.timing(FAST, "fsub", 3.2) == Timing(4, 3.0, 3.0)
    assert [latency(FAST, "fadd", budget) for budget in (3.65, 2.5)] == [4, 6]


def test_where_no_state_fits_it_is_built_without_slices() -> None:
    assert core_family("fsub", "FAddSub_nodsp") == "fadd_nodsp"
    assert latency(FAST, "fadd", 1.8) == 7


def test_what_was_chosen_bounds_what_was_never_printed() -> None:
    # Four cycles would take 2 x 3.0 = 6.0 ns; that six were chosen at 7.2 ns says that four take more.
    assert latency(SLOW, "fadd", 7.2) == 6
    # Twelve states fit 2.43 ns; six of twice as much are what the same time needs, and fewer than eleven need more.
    assert (latency(FAST, "fdiv", 2.43), latency(FAST, "fdiv", 4.9)) == (11, 5)


def test_a_slower_clock_never_takes_more_states() -> None:
    budgets = [2.3 + 0.1 * step for step in range(80)]  # of one kind of core: fadd's own
    for opcode in ("fadd", "fdiv"):
        found = [latency(FAST, opcode, budget) for budget in budgets]
        assert found == sorted(found, reverse=True)
        assert len(set(found)) > 2


def test_an_operator_that_was_never_seen_has_no_timing() -> None:
    assert MODEL.timing(FAST, "fatan", 3.0) is None


# Of schedule reports and of csynth's names (fadd_32ns_32ns_32_7_full_dsp_1 has seven states): UCLA-VAST/Stream-HLS,
# zanehpn/HLStrans, bol-edu/2022-fall-ntu, Crazy-James26/HeteroCL_Transformer.
@pytest.mark.parametrize(
    ("part", "clock", "opcode", "states"),
    [
        ("xcu280-fsvh2892-2L-e", 3.33, "fadd", 7),
        ("xcu280-fsvh2892-2L-e", 3.33, "fmul", 4),
        ("xcu280-fsvh2892-2L-e", 3.33, "fdiv", 12),
        ("xcu200-fsgd2104-2-e", 3.33, "fsub", 7),
        ("xcu55c-fsvh2892-2L-e", 5.0, "dadd", 5),
        ("xcu55c-fsvh2892-2L-e", 5.0, "ddiv", 22),
        ("xc7z020-clg400-1", 10.0, "fadd", 5),
        ("xc7z020-clg400-1", 10.0, "fmul", 4),
        ("xc7z020-clg400-1", 10.0, "fdiv", 16),
    ],
)
def test_the_fitted_model_takes_the_states_that_vitis_took(part: str, clock: float, opcode: str, states: int) -> None:
    operation = Operation(opcode, "x", 32, (Operand(32), Operand(32)))
    graph = LoopGraph("process", "Loop", DesignContext(clock, part, "2022.2"), (operation,), ())
    assert fitted_model().timing(graph, operation).latency == states - 1

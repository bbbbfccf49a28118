"""Dominance and control dependence within an iteration."""

from __future__ import annotations

import pytest

from codegen.rtl.builder import Builder
from codegen.rtl.conditions import BlockConditions
from codegen.rtl.names import Names
from codegen.rtl.nodes import Literal
from codegen.schedule.frontend.builder import LoopGraphBuilder, Value
from codegen.schedule.frontend.control_flow import Iteration, natural_loops
from codegen.schedule.frontend.ir_text import parse_module
from codegen.schedule.frontend.predicates import Predicates
from tests.support.parting_loop import PARTING_LOOP


def _iteration() -> Iteration:
    (function,) = parse_module(PARTING_LOOP).functions
    (loop,) = natural_loops(function)
    return Iteration(function, loop, ())


def test_a_block_depends_on_the_branches_that_decide_it_not_on_the_ways_that_lead_to_it() -> None:
    dependences = _iteration().control_dependences
    assert set(_iteration().predecessors["tail"]) == {"left", "arm", "right"}
    assert set(dependences["tail"]) == {("header", "left"), ("right", "tail")}
    assert dependences["arm"] == (("left", "arm"),)


def test_what_every_iteration_comes_to_depends_on_nothing() -> None:
    iteration = _iteration()
    assert iteration.control_dependences["header"] == iteration.control_dependences["latch"] == ()
    assert "latch" in iteration.always_follows
    assert iteration.exits == (("latch", "leave"),)


# More than Python's stack has frames.
BLOCKS = 1500


def _chain(*, meets_again: bool) -> Iteration:
    """Branch after branch: each way around a step meets the next step again, or leads to the end of the iteration."""
    steps = []
    for number in range(BLOCKS):
        other = f"step{number + 1}" if meets_again else "latch"
        steps.append(f"step{number}:\n  br i1 %c, label %arm{number}, label %{other}")
        steps.append(f"arm{number}:\n  br label %step{number + 1}")
    text = "\n".join(
        [
            "define void @process(i1 %c) {\nentry:\n  br label %step0",
            *steps,
            f"step{BLOCKS}:\n  br label %latch",
            "latch:\n  br i1 %c, label %step0, label %leave\nleave:\n  ret void\n}\n",
        ]
    )
    (function,) = parse_module(text).functions
    (loop,) = natural_loops(function)
    return Iteration(function, loop, ())


@pytest.mark.parametrize("meets_again", [True, False])
def test_branches_by_the_thousand_are_no_matter_of_depth(meets_again: bool) -> None:
    iteration = _chain(meets_again=meets_again)
    last = f"step{BLOCKS}"
    builder = LoopGraphBuilder()
    bit = Value(source=builder.add("icmp", 1, ()))
    predicates = Predicates(iteration, builder, lambda register: bit, lambda block: "")
    conditions = BlockConditions(iteration, Builder(Names()), lambda operand, bits: Literal(1, 1))
    assert predicates.of(last) == predicates.of("step0" if meets_again else last)
    assert len(predicates.terms(last)) == (0 if meets_again else 1)
    assert conditions.of(last) == conditions.of("step0")

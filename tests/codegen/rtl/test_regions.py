"""Which blocks become one chain of states."""

from __future__ import annotations

from codegen.rtl.regions import regions
from codegen.schedule.frontend.ir_text import parse_module
from tests.support.parting_loop import PARTING_LOOP


def found(*looped: str) -> list[tuple[set[str], str]]:
    """``looped``: blocks of pipelined loops."""
    (function,) = parse_module(PARTING_LOOP).functions
    each = regions(function, set(function.blocks) - set(looped), {"header", *looped})
    return [(set(region.blocks), region.last) for region in each]


def test_ways_that_part_and_meet_again_are_one_region_up_to_the_next_iteration() -> None:
    body = {"header", "left", "arm", "right", "tail", "latch"}
    assert found() == [({"entry"}, "entry"), (body, "latch"), ({"leave"}, "leave")]


def test_a_loop_or_a_way_in_from_elsewhere_ends_a_region() -> None:
    assert found("arm") == [({name}, name) for name in ("entry", "header", "left", "right", "tail", "latch", "leave")]
    assert ({"left", "arm", "tail"}, "tail") not in found("right")

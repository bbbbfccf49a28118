"""Which blocks become one chain of states."""

from __future__ import annotations

from codegen.rtl.regions import regions
from codegen.schedule.frontend.ir_text import parse_module

# header: first? -> left (whose arms meet in the tail) : right -> (second? tail : latch)
LOOP = """\
define void @process(i1 %first, i1 %inner, i1 %second, i1 %again) {
entry:
  br label %header
header:
  br i1 %first, label %left, label %right
left:
  br i1 %inner, label %arm, label %tail
arm:
  br label %tail
right:
  br i1 %second, label %tail, label %latch
tail:
  br label %latch
latch:
  br i1 %again, label %header, label %leave
leave:
  ret void
}
"""


def found(*looped: str) -> list[tuple[set[str], str]]:
    """``looped``: blocks of pipelined loops."""
    (function,) = parse_module(LOOP).functions
    each = regions(function, set(function.blocks) - set(looped), {"header", *looped})
    return [(set(region.blocks), region.last) for region in each]


def test_ways_that_part_and_meet_again_are_one_region_up_to_the_next_iteration() -> None:
    body = {"header", "left", "arm", "right", "tail", "latch"}
    assert found() == [({"entry"}, "entry"), (body, "latch"), ({"leave"}, "leave")]


def test_a_loop_or_a_way_in_from_elsewhere_ends_a_region() -> None:
    assert found("arm") == [({name}, name) for name in ("entry", "header", "left", "right", "tail", "latch", "leave")]
    assert ({"left", "arm", "tail"}, "tail") not in found("right")

"""The timing engine against RTL: seven stream designs, described here in our words, and what co-simulation counted.

Cycles, deadlock and counters: the designs of github.com/ArkaneMoose/omnisim-benchmarks at ad099ce, simulated with Vitis
HLS 2021.1 at 5 ns on xcvu9p (vitis_hls.log of each: end minus start of the transaction over the clock period, and what
the test bench printed).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aebert.support.errors import AebertError
from benchmarks.rtl_cycles import RtlRow, read_rows
from benchmarks.rtl_designs import BuiltDesigns, Counted, build_designs
from benchmarks.rtl_structure import read_design

FIFO = [["data", 32, 2]]
WITH_DONE = [*FIFO, ["done", 1, 2]]


def slow_adder(*more: str) -> dict[str, Any]:
    body = "; ".join(("II forced to 3", "blocking read data", "add to sum", "leave when value==0", *more))
    return {"name": "consumer", "loop": "endless until value 0", "II": 3, "depth": 3, "body": body}


def producer(loop: str, ii: int, depth: int, body: str) -> dict[str, Any]:
    return {"name": "producer", "loop": loop, "II": ii, "depth": depth, "body": body}


@dataclass(frozen=True)
class Case:
    """``tolerance``: cycles by which ours may differ, and ``tally`` what the design itself counts, exactly.

    One cycle either way is known: a function that is one pipelined loop has no state before it, or one behind it when
    its iterations do not overlap.
    """

    structure: dict[str, Any]
    cycles: int | None
    tolerance: int = 0
    tally: dict[str, int] = field(default_factory=dict)


ONE_AT_A_TIME = Case(
    {
        "processes": [
            producer(
                "endless until done seen", 2, 3,
                "load words[i]; non-blocking write data; if accepted i+=1; non-blocking read done; "
                "leave when it succeeds",
            ),
            {
                "name": "consumer", "loop": "endless until value 0", "II": 1, "depth": 1,
                "body": "blocking read data; add to sum; leave when value==0; "
                "after the loop blocking write of 1 to done",
            },
        ],
        "fifos": WITH_DONE,
        "iterations": "2025 non-zero values then zeros",
    },
    4055, 1, {"sum": 2051325},
)  # fmt: skip
DROPPING = Case(
    {
        "processes": [
            producer(
                "2025 iterations", 1, 2,
                "load words[i]; non-blocking write data; after the loop blocking write of 0",
            ),
            slow_adder(),
        ],
        "fifos": FIFO,
    },
    2039, 1, {"refused": 1348},
)  # fmt: skip
COUNTING_DROPS = Case(
    {
        "processes": [
            producer(
                "2025 iterations", 1, 2,
                "load words[i]; non-blocking write data; drop counter when refused; after the loop blocking write of 0",
            ),
            slow_adder(),
        ],
        "fifos": FIFO,
    },
    2039, 1, {"refused": 1348},
)  # fmt: skip
DROPPING_UNTIL_DONE = Case(
    {
        "processes": [
            producer(
                "endless until done seen", 1, 3,
                "load words[i]; non-blocking write data; drop counter when refused; non-blocking read done -> exit",
            ),
            slow_adder("blocking write done"),
        ],
        "fifos": WITH_DONE,
    },
    2041, 1, {"refused": 1358},
)  # fmt: skip
TIMER = Case(
    {
        "processes": [
            {
                "name": "compute", "loop": "2025 iterations, not pipelined",
                "body": "blocking read sent; division by 3; blocking write back",
            },
            {
                "name": "timer", "loop": "2025 iterations, not pipelined", "inner_II": 1, "inner_depth": 1,
                "body": "blocking write sent; poll back empty; blocking read back; add to total",
            },
        ],
        "fifos": [["sent", 32, 2], ["back", 32, 2]],
    },
    16203, 0, {"polls": 6075},
)  # fmt: skip
EACH_WAITS_FOR_THE_OTHER = Case(
    {
        "processes": [
            {
                "name": "controller", "loop": "2025 iterations", "II": 1, "depth": 2,
                "body": "blocking read answers; blocking write questions; add to sum",
            },
            {
                "name": "processor", "loop": "2025 iterations", "II": 1, "depth": 2,
                "body": "blocking read questions; times 2; blocking write answers",
            },
        ],
        "fifos": [["questions", 32, 2], ["answers", 32, 2]],
    },
    None,
)  # fmt: skip
MANY_CORES = Case(
    {
        "processes": [
            {
                "name": "fetch x16", "loop": "i while i<2025", "II": 1, "depth": 3,
                "body": "load words[i]; blocking write instr; non-blocking read addr; when received i=value; "
                "after the loop blocking write of -1 to instr; counter written to fetched[k]",
            },
            {
                "name": "execute x16", "loop": "until negative value", "II": 1, "depth": 2,
                "body": "blocking read instr; blocking write addr of a positive value; leave when negative; "
                "count written to executed[k]",
            },
            {"name": "aggregate", "loop": "16 unrolled reads of each of fetched/executed"},
        ],
        "fifos": [["instr[16]", 32, 2], ["addr[16]", 32, 2], ["fetched[16]", 32, 2], ["executed[16]", 32, 2]],
        "iterations": "instr=i+25+k when i%(20+k)==0 else 0",
    },
    # 15519 fetched; the executing cores take as many, and an end mark each.
    990, 0, {"guarded": 614, "iterations": 2 * 15519 + 16},
)  # fmt: skip
CASES = {
    "01_fig3_ex2": ONE_AT_A_TIME,
    "03_fig3_ex4a": DROPPING,
    "05_fig3_ex4b": COUNTING_DROPS,
    "06_fig3_ex4b_d": DROPPING_UNTIL_DONE,
    "08_fig2_timer": TIMER,
    "09_deadlock": EACH_WAITS_FOR_THE_OTHER,
    "11_multicore": MANY_CORES,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltDesigns:
    designs = [read_design(name, case.structure, {}) for name, case in CASES.items()]
    return build_designs(designs, tmp_path_factory.mktemp("rtl"))


def run(built: BuiltDesigns, name: str) -> Counted:
    return built.run(next(design for design in built.designs if design.name == name))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.cycles is not None])
def test_cycles_and_counters_are_those_of_rtl(built: BuiltDesigns, name: str) -> None:
    counted, case = run(built, name), CASES[name]
    assert counted.cycles == pytest.approx(case.cycles, abs=case.tolerance)
    assert {what: counted.tally[what] for what in case.tally} == case.tally


def test_the_deadlock_of_rtl_is_found_and_says_who_waits_for_what(built: BuiltDesigns) -> None:
    counted = run(built, "09_deadlock")
    assert counted.cycles is None
    blocked = {(item.process.partition("_")[2], item.action, item.stream) for item in counted.result.blocked}
    assert blocked == {("controller", "read", "answers"), ("processor", "read", "questions")}


def test_the_region_ends_with_its_outputs_not_with_its_last_process(built: BuiltDesigns) -> None:
    # The producer, which has none, sees `done` and ends cycles after the consumer, and RTL does not wait for it.
    counted = run(built, "01_fig3_ex2")
    ends = {process.name.partition("_")[2]: process.end for process in counted.result.processes}
    assert ends["consumer"] + 1 == counted.cycles
    assert ends["producer"] > ends["consumer"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("blocking read data; shake the FIFO until it is empty", "producer: clause 'shake the FIFO until it is empty'"),
        ("blocking read words; leave on 0", "clause 'blocking read words': no FIFO|names no FIFO"),
        ("blocking read data; leave at some point", "leave when"),
        ("as 99_other, counter kept", "which is not in the file"),
    ],
)
def test_a_structure_that_cannot_be_built_is_refused_by_clause(body: str, message: str) -> None:
    structure = {"processes": [producer("3 iterations", 1, 2, body)], "fifos": WITH_DONE}
    with pytest.raises(AebertError, match=message):
        read_design("some", structure, {})


def test_a_body_may_be_that_of_another_row() -> None:
    other = {"processes": [producer("3 iterations", 1, 2, "load words[i]; blocking write data")]}
    structure = {"processes": [producer("3 iterations", 1, 2, "as 99_other")], "fifos": FIFO}
    (process,) = read_design("some", structure, {"99_other": other}).processes
    assert [(step.kind, step.stream, step.stage) for step in process.steps] == [("load", "", 0), ("write", "data", 1)]


def test_rows_are_read_and_judged(tmp_path: Path) -> None:
    path = tmp_path / "rtl_cycles.tsv"
    header = "path\trtl_cycles_max\tstatus\tstructure\n"
    path.write_text(header + 'a\t2000\tPass\t{\\"processes\\": []}\nb\t\tdeadlock in RTL\t\n')
    first, second = read_rows(path)
    assert (first.structure, first.cycles, second.structure, second.cycles) == ({"processes": []}, 2000, None, None)
    assert first.agrees(1980)
    assert not first.agrees(1979)
    assert not first.agrees(None)
    assert RtlRow("c", None, 100).agrees(110)
    assert second.agrees(None)
    assert not second.agrees(1980)
    path.write_text(header + "a\t2000\tPass\t{broken\n")
    with pytest.raises(AebertError, match="line 2"):
        read_rows(path)

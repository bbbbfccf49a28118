"""Vitis schedule reports become graphs, and those graphs become the schedule that the report shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from aebert.hls_reports.reading import ReportError, read_report_text
from aebert.hls_reports.schedule_rpt import parse_schedule
from aebert.hls_reports.schedule_statement import parse_statement
from codegen.schedule.affine import Affine, Motion, carried_distance, may_meet
from codegen.schedule.graph import DependenceKind, StorageKind
from codegen.schedule.operator_model import fitted_model
from codegen.schedule.report_graph import ObservedLoop, reported_loops
from codegen.schedule.report_operations import parse_predicate
from codegen.schedule.report_wiring import module_name
from codegen.schedule.result import Limit
from codegen.schedule.scheduler import schedule_loop
from tests.support.report_samples.schedule import REPORT, REPORT_WITH_BREAK, REPORT_WITH_REUSE, step


def loop_of(folder: Path, text: str) -> ObservedLoop:
    file = folder / "sum.verbose.sched.rpt"
    file.write_text(text, encoding="utf-8")
    (loop,) = reported_loops(parse_schedule(read_report_text(file)))
    return loop


@pytest.fixture
def reported(tmp_path: Path) -> ObservedLoop:
    return loop_of(tmp_path, REPORT)


def test_a_report_says_what_vitis_did(reported: ObservedLoop) -> None:
    seen = reported.observed
    assert (seen.initiation_interval, seen.target_ii, seen.depth, seen.clock_ns) == (1, 1, 2, 2.3)
    assert reported.graph.trip_count == (64, 64)


def test_the_graph_leaves_out_what_comes_before_and_after_the_loop(reported: ObservedLoop) -> None:
    names = [operation.name for operation in reported.graph.operations]
    assert names == ["i_1", "icmp_ln2", "add_ln2", "br_ln2", "store_ln2", "v", "total"]
    assert reported.graph.exit_test == names.index("icmp_ln2")
    (counter,) = reported.graph.carried
    assert (names[counter.phi], counter.initial.constant, counter.initial_delay_ns) == ("i_1", 0, 0.38)
    assert reported.graph.storages["values"].kind is StorageKind.STREAM


def test_our_schedule_is_the_reports(reported: ObservedLoop) -> None:
    found = schedule_loop(reported.graph, fitted_model())
    assert (found.initiation_interval, found.depth) == (1, 2)
    assert found.clock_ns == pytest.approx(2.3)
    assert found.cycles == reported.observed.cycles


def test_every_way_out_of_a_loop_is_known_in_its_first_interval(tmp_path: Path) -> None:
    graph = loop_of(tmp_path, REPORT_WITH_BREAK).graph
    names = [operation.name for operation in graph.operations]
    assert graph.exit_test == names.index("icmp_ln2")
    assert graph.further_exits == (names.index("icmp_ln4"),)
    found = schedule_loop(graph, fitted_model())
    assert (found.initiation_interval, found.limits[-1].kind) == (2, Limit.EXIT_TEST)


def test_older_reports_name_the_block_of_a_true_condition_first(tmp_path: Path) -> None:
    branch = "br i1 %icmp_ln2, void %for.inc.split, void %for.end.exitStub"
    older = "br i1 %icmp_ln2, label %for.end.exitStub, label %for.inc.split"
    names = [operation.name for operation in loop_of(tmp_path, REPORT.replace(branch, older)).graph.operations]
    assert names == ["i_1", "icmp_ln2", "add_ln2", "br_ln2", "store_ln2", "v", "total"]


def test_a_phi_waits_for_what_decides_between_its_values(tmp_path: Path) -> None:
    graph = loop_of(tmp_path, REPORT_WITH_BREAK).graph
    names = [operation.name for operation in graph.operations]
    sources = {names[each.source] for each in graph.incoming[names.index("chosen")] if each.kind is DependenceKind.DATA}
    assert sources == {"less", "v", "icmp_ln4"}


def test_accesses_under_different_values_of_an_argument_exclude_each_other(tmp_path: Path) -> None:
    read = next(line for line in REPORT.splitlines() if "_Read.ap_fifo" in line)
    reads = [
        read.replace("%v ", f"%v{mode} ").replace("Predicate = true", f"Predicate = (!icmp_ln2 & {mode_test})")
        for mode, mode_test in enumerate(("mode == 1", "mode == 2", "mode == 3 & wide", "mode == 3 & !wide"))
    ]
    assert len({*reads, read}) == 5
    assert all("(!icmp_ln2 & " in each for each in reads)
    found = schedule_loop(loop_of(tmp_path, REPORT.replace(read, "\n".join([read, *reads]))).graph, fitted_model())
    # The read that is always done, and one of the others.
    assert (found.initiation_interval, found.depth) == (2, 3)


@pytest.mark.parametrize(
    ("function", "module"),
    [
        ("relu", "relu"),
        ("dense<array, ap_fixed<16, 6>, config2>", "dense_array_ap_fixed_16_6_config2_s"),
        ('"pool<array,64u>"', "pool_array_64u_s"),
        ("dense_array_ap_fixed_16_6_config2_s", "dense_array_ap_fixed_16_6_config2_s"),
    ],
)
def test_a_template_s_module_has_its_arguments_in_its_name(function: str, module: str) -> None:
    assert module_name(function) == module


def test_an_index_that_one_choice_leaves_as_it_was_may_meet_itself(tmp_path: Path) -> None:
    """a[index] += value, where the next index is index or index + 1: of either of the two."""
    i, add = "%i_1, i7 1", "%add_ln2 = add i7 %i_1, i7 1"
    steps = [step(1, 20, "0.70", "%more = add i7 " + i, "add"), step(1, 6, "0.35", "%add_ln2 = X", "select")]
    chosen = "\n".join(steps).replace("X", "select i1 %icmp_ln2, i7 %more, i7 %i_1")
    assert add in REPORT_WITH_REUSE
    plain = REPORT_WITH_REUSE.replace("reuse_", "other_")
    line = next(each for each in plain.splitlines() if add in each)
    before = plain.replace(line, chosen)
    behind = before.replace("zext i7 %i_1", "zext i7 %add_ln2")
    intervals = [
        schedule_loop(loop_of(tmp_path, text).graph, fitted_model()).initiation_interval
        for text in (plain, before, behind)
    ]
    assert intervals == [1, 2, 2]


def test_a_load_beside_a_kept_sum_waits_for_the_comparison_of_their_addresses(tmp_path: Path) -> None:
    seen = loop_of(tmp_path, REPORT_WITH_REUSE)
    found = schedule_loop(seen.graph, fitted_model())
    names = [operation.name for operation in seen.graph.operations]
    assert (found.initiation_interval, found.depth) == (1, 3)
    load, comparison = (found.cycles[names.index(name)] for name in ("kept", "addr_cmp"))
    assert load == comparison == 1


@pytest.mark.parametrize("cut", ["* Target device:", "Verbose Summary: Schedule", "== Vitis HLS Report"])
def test_a_broken_report_is_refused_in_one_line(tmp_path: Path, cut: str) -> None:
    file = tmp_path / "broken.verbose.sched.rpt"
    file.write_text(REPORT.replace(cut, ""), encoding="utf-8")
    with pytest.raises(ReportError) as refused:
        parse_schedule(read_report_text(file))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("opcode", "text", "names", "bits"),
    [
        ("add", "%i = add i7 %i_0, 1", ["i_0", ""], 7),
        ("add", "%s = add i32 %a, i32 %b", ["a", "b"], 32),
        ("trunc", "%t = trunc i32 %a to i16", ["a"], 32),
        ("phi", "%p = phi i7 [ 0, %0 ], [ %i, %Loop ]", ["", "i"], 7),
        ("read", "%v = call i16 @_ssdm_op_Read.ap_fifo.volatile.i16P(i16* %in_V)", ["in_V"], 16),
        ("store", "store i32 %i, i32* %r", ["i", "r"], 32),
        ("icmp", "%c = icmp eq i7 %i_0, -29", ["i_0", ""], 1),
        ("select", "%s = select i1 %c, i8 %a, i8 0", ["c", "a", ""], 8),
    ],
)
def test_statements_of_both_forms(opcode: str, text: str, names: list[str], bits: int) -> None:
    statement = parse_statement(opcode, text)
    assert [value.name for value in statement.operands] == names
    assert statement.bits == bits


def test_predicates_are_disjunctions_of_conjunctions() -> None:
    assert parse_predicate("true") == ()
    assert parse_predicate("(a & !b) | (c == 1)") == (
        frozenset({("a", None, True), ("b", None, False)}),
        frozenset({("c", 1, True)}),
    )


MOTION = Motion({"i": 1}, frozenset({"i", "x", "y", "z"}), frozenset({"x"}), frozenset({"z"}))


@pytest.mark.parametrize(
    ("store", "load", "distance"),
    [
        (Affine(0, (("i", 1),)), Affine(0, (("i", 1),)), None),  # a[i] of a[i]
        (Affine(1, (("i", 1),)), Affine(0, (("i", 1),)), 1),  # a[i + 1] then a[i]
        (Affine(4, (("i", 2),)), Affine(0, (("i", 2),)), 2),  # a[2i + 4] then a[2i]
        (Affine(3, (("i", 2),)), Affine(0, (("i", 2),)), None),
        (Affine(5), Affine(5), 1),  # always the same place
        (Affine(0, (("x", 1),)), Affine(0, (("x", 1),)), 1),  # a histogram
        (Affine(0, (("y", 1),)), Affine(0, (("y", 1),)), None),
        (Affine(0, (("z", 1),)), Affine(0, (("z", 1),)), 1),  # a sum into a[z], where z may stay
        (Affine(0, (("i", 1), ("z", 8))), Affine(0, (("i", 1), ("z", 8))), None),
    ],
)
def test_distances_of_addresses(store: Affine, load: Affine, distance: int | None) -> None:
    assert carried_distance(store, load, MOTION) == distance


def test_places_a_constant_apart_never_meet() -> None:
    assert not may_meet(Affine(0, (("i", 1),)), Affine(1, (("i", 1),)))
    assert may_meet(Affine(0, (("i", 1),)), Affine(1, (("x", 1),)))


def test_a_register_knows_how_many_values_the_module_puts_there(reported: ObservedLoop) -> None:
    assert {
        name: each.sources for name, each in reported.graph.storages.items() if each.kind is StorageKind.REGISTER
    } == {"i": 2}

"""What the front end makes of C++: streams, recurrences, widths, predicates, memories and their ports."""

from __future__ import annotations

from pathlib import Path

import pytest

from aebert.support.errors import AebertError
from codegen.schedule.frontend.kernel import plain_name
from codegen.schedule.graph import DependenceKind, StorageKind, exclusive
from tests.codegen.schedule.kernels import HEAD_LINES, counting_loop, cycle_of, graphs_of, named

STREAMS = "hls::stream<int16_t>& in, hls::stream<int16_t>& out"


def test_a_stream_element_is_one_access_whatever_its_size(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        "struct Wide { int16_t lane[40]; };\n"
        "void process(int n, hls::stream<Wide>& in, hls::stream<Wide>& out) {\n"
        + counting_loop("out.write(in.read());")
        + "}\n",
    )["process.Body"]
    (read,), (write,) = named(graph, "read"), named(graph, "write")
    assert (read.bits, graph.storages["in"].bits, graph.storages["out"].bits) == (640, 640, 640)
    assert {each.source for each in write.operands} == {graph.operations.index(read)}
    assert graph.target_ii == 1
    assert graph.ii_is_explicit


def test_streams_in_an_array_are_told_apart_and_one_stream_is_read_in_order(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        "void process(int n, hls::stream<int16_t> (&in)[2], hls::stream<int>& out) {\n"
        + counting_loop("const int a = in[0].read(); const int b = in[0].read(); out.write(a + b + in[1].read());")
        + "}\n",
    )["process.Body"]
    assert {"in[0]", "in[1]", "out"} <= set(graph.storages)
    (order,) = [each for each in graph.dependences if each.kind is DependenceKind.ORDER]
    first, second = graph.operations[order.source], graph.operations[order.sink]
    assert first.access == second.access
    assert order.cycles == 1


def test_a_recurrence_names_its_operators_and_lines(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        f"void process(int n, {STREAMS}) {{\n  int sum = 0;\n"
        + counting_loop("const int a = in.read();\n    sum = sum > 1000 ? 0 : sum + a;\n    out.write(int16_t(sum));")
        + "}\n",
    )["process.Body"]
    (sum_phi,) = [each.phi for each in graph.carried if graph.operations[each.phi].name.startswith("sum")]
    assert cycle_of(graph, sum_phi) == {"load", "icmp", "select", "add", "store"}
    lines = {operation.line for operation in named(graph, "add")}
    assert f"kernel.cpp:{HEAD_LINES + 9}" in lines


def test_unmarked_loops_are_unrolled_and_marked_ones_are_not(tmp_path: Path) -> None:
    body = "int sum = 0;\n    for (int lane = 0; lane < 8; ++lane) sum += in.read();\n    out.write(int16_t(sum));"
    graph = graphs_of(tmp_path, f"void process(int n, {STREAMS}) {{\n{counting_loop(body)}}}\n")["process.Body"]
    assert len(named(graph, "read")) == 8
    with pytest.raises(AebertError, match="neither marked nor unrolled"):
        graphs_of(
            tmp_path,
            f"void process(int n, {STREAMS}) {{\n"
            + counting_loop("for (int k = 0; k < in.read(); ++k) out.write(int16_t(k));")
            + "}\n",
        )


def test_widths_follow_masks_types_and_tables(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        "static const int16_t kTable[4] = {3, -7, 5, 1};\n"
        f"void process(int n, {STREAMS}) {{\n"
        + counting_loop(
            "const int a = in.read() & 63; const int b = in.read() & 7; const int c = kTable[in.read() & 3];\n"
            "    out.write(int16_t(a * b + c));"
        )
        + "}\n",
    )["process.Body"]
    (product,) = named(graph, "mul")
    assert sorted(each.bits for each in product.operands) == [3, 6]
    assert product.bits == 9
    kinds = [graph.storages[each.access.storage].kind for each in named(graph, "load") if each.access]
    assert kinds.count(StorageKind.ROM) == 1
    assert [4, 9] in [sorted(each.bits for each in total.operands) for total in named(graph, "add")]


def test_only_the_low_bits_that_are_used_are_added(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        "void process(int n, hls::stream<int>& in, hls::stream<uint8_t>& out) {\n"
        + counting_loop("const int a = in.read(); const int b = in.read(); out.write(uint8_t(a + b));")
        + "}\n",
    )["process.Body"]
    assert [each.bits for each in named(graph, "add") if all(o.source is not None for o in each.operands)] == [8]


def test_exact_integers_keep_their_widths(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        "void process(int n, hls::stream<int>& in, hls::stream<int64_t>& out) {\n"
        + counting_loop("const ap_int<27> a = in.read(); const ap_int<18> b = in.read(); out.write(int64_t(a * b));")
        + "}\n",
    )["process.Body"]
    (product,) = named(graph, "mul")
    assert (sorted(each.bits for each in product.operands), product.bits) == ([18, 27], 45)


def test_arms_of_a_branch_exclude_each_other(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        f"void process(int n, {STREAMS}, hls::stream<int16_t>& other) {{\n"
        + counting_loop(
            "const int16_t a = in.read();\n    if (a > 3) out.write(a); else if (a < -3) other.write(a);"
            "\n    if (a == 7) out.write(1);"
        )
        + "}\n",
    )["process.Body"]
    first, second, third = named(graph, "write")
    assert exclusive(first.predicate, second.predicate)
    assert not exclusive(first.predicate, third.predicate)
    assert all(len(each.predicate) == 1 for each in (first, second, third))


def test_code_behind_a_branch_has_no_predicate(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        f"void process(int n, {STREAMS}, hls::stream<int16_t>& other) {{\n"
        + counting_loop("const int16_t a = in.read();\n    if (a > 3) other.write(a);\n    out.write(a);")
        + "}\n",
    )["process.Body"]
    always = [each for each in named(graph, "write") if each.predicate == ()]
    assert [each.access.storage for each in always if each.access] == ["out"]


def test_a_skipped_iteration_guards_what_follows(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        f"void process(int n, {STREAMS}) {{\n  bool started = false;\n"
        + counting_loop("int16_t a; if (!started) { started = in.read_nb(a); continue; }\n    out.write(in.read());")
        + "}\n",
    )["process.Body"]
    (polled,), (read,), (write,) = named(graph, "nbread"), named(graph, "read"), named(graph, "write")
    assert read.predicate == write.predicate
    assert exclusive(polled.predicate, read.predicate)


def test_a_partitioned_array_is_a_multiplexer_and_carried_registers(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        f"void process(int n, {STREAMS}) {{\n  int16_t held[5];\n"
        "#pragma HLS ARRAY_PARTITION variable = held type = complete dim = 0\n"
        + counting_loop("const int k = i % 4;\n    held[k] = int16_t(held[k] + in.read());\n    out.write(held[k]);")
        + "}\n",
    )["process.Body"]
    multiplexers = named(graph, "mux")
    assert {len(each.operands) for each in multiplexers} == {6}  # the index and five entries
    assert "held" not in graph.storages
    phi = next(each.phi for each in graph.carried if graph.operations[each.phi].name.startswith("held"))
    assert cycle_of(graph, phi) >= {"load", "mux", "add", "select", "store"}


def test_stores_to_different_registers_of_an_array_do_not_wait_for_each_other(tmp_path: Path) -> None:
    stores = "for (int lane = 0; lane < 4; ++lane) held.lane[lane] = in.read();"
    graph = graphs_of(
        tmp_path,
        f"struct Row {{ int16_t lane[4]; }};\nvoid process(int n, {STREAMS}) {{\n  Row held = {{}};\n"
        + counting_loop(f"if (i == 0) {{ {stores} }}\n    out.write(held.lane[i & 3]);")
        + "}\n",
    )["process.Body"]
    registers = [each.phi for each in graph.carried if graph.operations[each.phi].name.startswith("held")]
    assert len(registers) == 4
    assert all(cycle_of(graph, phi) == {"load", "select", "store"} for phi in registers)


@pytest.mark.parametrize(
    ("storage", "ports", "write_ports"), [("ram_1p", 1, None), ("ram_s2p", 1, 1), ("ram_t2p", 2, None)]
)
def test_a_bound_memory_has_the_ports_of_its_pragma(
    tmp_path: Path, storage: str, ports: int, write_ports: int | None
) -> None:
    graph = graphs_of(
        tmp_path, _memory_kernel(f"#pragma HLS BIND_STORAGE variable = held type = {storage} impl = bram\n")
    )["process.Body"]
    found = graph.storages["held"]
    assert (found.kind, found.ports, found.write_ports, found.implementation) == (
        StorageKind.MEMORY, ports, write_ports, "bram",
    )  # fmt: skip
    assert found.depth == 512


def _memory_kernel(pragmas: str, loop_pragmas: str = "#pragma HLS PIPELINE II = 1") -> str:
    return (
        f"void process(int n, {STREAMS}) {{\n  static int16_t held[512];\n{pragmas}"
        + counting_loop("held[i & 511] = int16_t(held[(i * 7) & 511] + in.read());", loop_pragmas)
        + "}\n"
    )


def test_a_load_waits_for_the_store_of_the_iteration_before_unless_a_pragma_says_otherwise(tmp_path: Path) -> None:
    def distances(loop_pragma: str) -> set[int]:
        pragmas = "#pragma HLS BIND_STORAGE variable = held type = ram_s2p impl = bram\n"
        loop_pragmas = f"#pragma HLS PIPELINE II = 1\n{loop_pragma}"
        graph = graphs_of(tmp_path, _memory_kernel(pragmas, loop_pragmas))["process.Body"]
        return {
            each.distance
            for each in graph.dependences
            if each.kind is DependenceKind.MEMORY
            and (graph.operations[each.source].opcode, graph.operations[each.sink].opcode) == ("store", "load")
        }

    assert distances("") == {1}
    held = "#pragma HLS DEPENDENCE variable = held type = inter"
    assert distances(f"{held} direction = RAW distance = 8 dependent = true") == {8}
    assert distances(f"{held} dependent = false") == set()


def test_a_row_is_one_access_and_an_element_of_it_a_multiplexer(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        f"struct Row {{ int8_t lane[16]; }};\nvoid process(int n, {STREAMS}) {{\n  static Row held[2][64];\n"
        "#pragma HLS ARRAY_PARTITION variable = held type = complete dim = 1\n"
        + counting_loop(
            "const Row& row = held[1][i & 63];\n    int sum = row.lane[i & 15];\n"
            "    for (int lane = 0; lane < 16; ++lane) sum += row.lane[lane];\n    out.write(int16_t(sum));"
        )
        + "}\n",
    )["process.Body"]
    (load,) = [each for each in named(graph, "load") if each.access and each.access.storage == "held"]
    assert (load.bits, load.access and load.access.bank) == (128, 1)
    (multiplexer,) = named(graph, "mux")
    assert len(multiplexer.operands) == 17


def test_an_axi_word_is_one_beat(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        "struct alignas(16) Word { int8_t byte[16]; };\n"
        "void process(int n, const Word* memory, hls::stream<int16_t>& out) {\n"
        + counting_loop(
            "const Word beat = memory[2 * int64_t(i) + 1];\n    out.write(int16_t(beat.byte[0] + beat.byte[15]));"
        )
        + "}\n",
    )["process.Body"]
    (beat,) = [each for each in named(graph, "read") if each.access]
    assert (beat.bits, graph.storages["memory"].kind) == (128, StorageKind.AXI)


def test_the_exit_test_is_the_loop_condition(tmp_path: Path) -> None:
    graph = graphs_of(
        tmp_path,
        f"void process(int n, {STREAMS}) {{\n  int left = n;\nBody:\n  AEBERT_LOOP(process.Body)\n"
        "  while (left > 0) {\n#pragma HLS PIPELINE\n    AEBERT_ITERATION;\n    left -= in.read();\n  }\n}\n",
    )["process.Body"]
    assert graph.exit_test is not None
    exit_test = graph.operations[graph.exit_test]
    (condition,) = exit_test.operands
    assert condition.source is not None
    assert graph.operations[condition.source].opcode == "icmp"
    assert (graph.target_ii, graph.ii_is_explicit) == (1, False)


def test_bad_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(AebertError, match=r"clang cannot compile it as synthesis would: kernel.cpp:\d+: "):
        graphs_of(tmp_path, "void process(int n) {\n" + counting_loop("nothing(i);") + "}\n")
    with pytest.raises(AebertError, match="AEBERT_ITERATION is missing"):
        graphs_of(tmp_path, "void process(int n) {\n  AEBERT_LOOP(process.Body)\n  for (int i = 0; i < n; ++i) {}\n}\n")
    with pytest.raises(AebertError, match="knows complete only"):
        graphs_of(
            tmp_path,
            f"void process(int n, {STREAMS}) {{\n  static int16_t held[8];\n"
            "#pragma HLS ARRAY_PARTITION variable = held type = cyclic factor = 2\n"
            + counting_loop("out.write(held[i & 7]);")
            + "}\n",
        )


def test_names_are_those_of_the_source() -> None:
    assert plain_name("_ZN6aebert6engineEiRN3hls6streamINS_4PassELi0EEE") == "engine"
    assert plain_name("_Z7processiRN3hls6streamIsLi0EEE") == "process"
    assert plain_name("aebert_kernel") == "aebert_kernel"

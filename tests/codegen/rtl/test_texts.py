"""Names, tables, expressions and the top level's C++, each by itself."""

from __future__ import annotations

import pytest

from aebert.support.errors import AebertError
from codegen.rtl.builder import Builder
from codegen.rtl.constant_tables import table_bytes
from codegen.rtl.expressions import intrinsic_text, pure_text
from codegen.rtl.kernel import join
from codegen.rtl.names import Names, identifier
from codegen.rtl.nodes import FALSE, TRUE, Literal, Outside
from codegen.rtl.render import folded
from codegen.rtl.texts import ProcessText, StreamUse
from codegen.rtl.top_level import read_top_level
from codegen.schedule.frontend.ir import Instruction


def test_names_of_llvm_become_identifiers_that_are_given_once() -> None:
    assert identifier("%add.i12") == "add_i12"
    assert identifier("%12") == "v12"
    assert identifier("sequence") == "sequence_"
    names = Names()
    assert [names.new("%sum"), names.new("%sum"), names.new("%Sum")] == ["sum", "sum_n2", "Sum_n3"]


def test_a_table_is_read_byte_by_byte_from_numbers_strings_and_zeros() -> None:
    module = (
        "@a = internal constant [2 x i16] [i16 -2, i16 258], align 2\n"
        "@b = internal constant <{ [3 x i8], [2 x i8] }> "
        '<{ [3 x i8] c"\\FFa\\\\", [2 x i8] zeroinitializer }>, align 16\n'
    )
    assert table_bytes(module, "@a", 4) == bytes([0xFE, 0xFF, 2, 1])
    assert table_bytes(module, "@b", 5) == bytes([255, ord("a"), ord("\\"), 0, 0])
    with pytest.raises(AebertError, match="5 bytes were read of 6"):
        table_bytes(module, "@b", 6)
    with pytest.raises(AebertError, match="@c: is not in the module"):
        table_bytes(module, "@c", 1)


@pytest.mark.parametrize(
    ("instruction", "operands", "expected"),
    [
        (Instruction("ashr", "%r", 8, ("%a", 2), 8), ("a", "8'd2"), "$signed(a) >>> 8'd2"),
        (Instruction("icmp", "%r", 1, ("%a", "%b"), 8, predicate="slt"), ("a", "b"), "$signed(a) < $signed(b)"),
        (Instruction("icmp", "%r", 1, ("%a", "%b"), 8, predicate="ult"), ("a", "b"), "a < b"),
        (Instruction("sext", "%r", 8, ("%a",), 5), ("a",), "{{3{a[4]}}, a}"),
        (Instruction("sext", "%r", 8, ("%a",), 1), ("a",), "{{7{a}}, a}"),
        (Instruction("zext", "%r", 8, ("%a",), 5), ("a",), "{3'd0, a}"),
        (Instruction("trunc", "%r", 5, ("%a",), 8), ("a",), "a[4:0]"),
        (Instruction("trunc", "%r", 1, ("%a",), 8), ("a",), "a[0]"),
    ],
)
def test_signs_and_widths_are_kept(instruction: Instruction, operands: tuple[str, ...], expected: str) -> None:
    assert pure_text(instruction)(operands) == expected


def test_extremes_compare_with_the_sign_that_they_are_named_for() -> None:
    signed = Instruction("call", "%r", 8, ("%a", "%b"), 8, callee="llvm.smin.i8")
    unsigned = Instruction("call", "%r", 8, ("%a", "%b"), 8, callee="llvm.umax.i8")
    assert intrinsic_text(signed)(("a", "b")) == "($signed(a) < $signed(b)) ? a : b"
    assert intrinsic_text(unsigned)(("a", "b")) == "(a > b) ? a : b"
    with pytest.raises(AebertError, match=r"llvm\.ctpop"):
        intrinsic_text(Instruction("call", "%r", 8, ("%a",), 8, callee="llvm.ctpop.i8"))


def test_logic_of_constants_and_of_the_same_bit_takes_no_gate() -> None:
    builder = Builder(Names())
    bit = Outside("bit", 1)
    inverse = builder.inverse(bit)
    assert builder.both(bit, TRUE) == bit
    assert builder.both(bit, FALSE) == FALSE
    assert builder.either(bit, bit) == bit
    assert builder.inverse(TRUE) == FALSE
    assert builder.choose(TRUE, Literal(4, 1), Literal(4, 2)) == Literal(4, 1)
    assert builder.both(bit, inverse) is builder.both(bit, inverse)
    assert builder.equals(Literal(4, 3), 3) == TRUE
    assert builder.slice(Literal(8, 0xA5), 4, 4) == Literal(4, 0xA)


def test_long_lines_are_folded() -> None:
    text = folded("wire x = " + " | ".join(f"term_{number}" for number in range(100)) + ";")
    assert max(map(len, text.splitlines())) <= 122
    assert "".join(text.split()) == "".join(("wire x = " + " | ".join(f"term_{n}" for n in range(100)) + ";").split())


KERNEL = """
extern "C" void top(const Word* numbers, int count) {
#pragma HLS INTERFACE mode = m_axi port = numbers bundle = numbers max_read_burst_length = 16 num_read_outstanding = 4
  hls::stream<Pass, 2 * kDepth> values("values");
  hls::stream<Row, kDepth + 1> rows[kLanes];
#pragma HLS BIND_STORAGE variable = rows type = fifo impl = bram
  AEBERT_PROCESS(read, AEBERT_READ_PORT(numbers), count, values);
  AEBERT_PROCESS(split, values,
                 rows);
}
"""


def test_the_top_level_is_read_from_the_kernels_own_text() -> None:
    top = read_top_level(KERNEL, "constexpr int kDepth = 3;\nconstexpr int kLanes = kDepth - 1;\n")
    assert top.name == "top"
    assert top.processes == (("read", ("numbers", "count", "values")), ("split", ("values", "rows")))
    assert [(each.name, each.depth, each.implementation) for each in top.streams] == [
        ("values", 6, ""),
        ("rows_0", 4, "bram"),
        ("rows_1", 4, "bram"),
    ]
    assert [(each.name, each.burst, each.outstanding) for each in top.ports] == [("numbers", 16, 4)]


def test_a_depth_that_is_no_constant_is_named() -> None:
    with pytest.raises(AebertError, match="kDepth"):
        read_top_level(KERNEL, "constexpr int kLanes = 2;\n")


JOINED = """
extern "C" void top(int count) {
  hls::stream<Row, 4> rows[kLanes];
  AEBERT_PROCESS(split, count, rows);
  AEBERT_PROCESS(gather, rows);
}
"""


@pytest.mark.parametrize(
    ("lanes", "inner", "told"),
    [(1, ("rows",), ["rows"]), (2, ("rows_0", "rows_1"), ["rows[0]", "rows[1]"])],
)
def test_an_array_of_streams_joins_lane_by_lane_and_one_stream_has_no_index_in_llvm(
    lanes: int, inner: tuple[str, ...], told: list[str]
) -> None:
    def process(name: str, parameters: tuple[str, ...], *, reads: bool) -> ProcessText:
        streams = [StreamUse(each, 8, reads) for each in inner]
        return ProcessText(name, name, f"{name}.cpp", parameters, [], streams, *([] for _ in range(7)))

    top = read_top_level(JOINED, f"constexpr int kLanes = {lanes};\n")
    kernel = join(top, [process("split", ("count", "rows"), reads=False), process("gather", ("rows",), reads=True)])
    assert [fifo.name for fifo in kernel.fifos] == [f"rows_{lane}" for lane in range(lanes)]
    assert [end.storage for end in kernel.ends] == 2 * told


CUT = """
extern "C" void cut(int count) {
  hls::stream<Row, 4> sums[kEngines][kLanes];
  AEBERT_PROCESS(engine, count, sums[0]);
  AEBERT_PROCESS(engine, count, sums[1]);
  AEBERT_PROCESS(gather, sums[0]);
  AEBERT_PROCESS(gather, sums[1]);
}
"""


def test_each_call_of_a_process_is_an_instance_with_its_row_of_the_streams() -> None:
    top = read_top_level(CUT, "constexpr int kEngines = 2;\nconstexpr int kLanes = 1;\n")
    writes, reads = ([StreamUse("sums", 8, reads)] for reads in (False, True))
    engine = ProcessText("engine", "engine", "engine.cpp", ("count", "sums"), [], writes, *([] for _ in range(7)))
    gather = ProcessText("gather", "gather", "gather.cpp", ("sums",), [], reads, *([] for _ in range(7)))
    kernel = join(top, [engine, gather])
    assert [fifo.name for fifo in kernel.fifos] == ["sums_0_0", "sums_1_0"]
    assert [(each.name, each.module) for each in kernel.instances] == [
        ("engine", "engine"), ("engine_1", "engine"), ("gather", "gather"), ("gather_1", "gather"),
    ]  # fmt: skip
    assert ("sums_data", "sums_1_0_in_data") in kernel.instances[1].connections
    # As the emulator names them.
    assert [(end.process, end.storage) for end in kernel.ends] == [
        ("engine", "sums[0]"), ("engine[1]", "sums[1]"), ("gather", "sums[0]"), ("gather[1]", "sums[1]"),
    ]  # fmt: skip

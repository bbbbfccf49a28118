"""Each rule of the lint finds what it is about, and nothing in code that follows it."""

from __future__ import annotations

import pytest

from codegen.lint import lint_files

CLEAN = """
#include <cstdint>
namespace {
constexpr int kLanes = 4;
template <int kBits>
int shifted(int value) {
#pragma HLS INLINE
  return value / (1 << kBits);
}
}  // namespace
extern "C" void top(const int* memory, int* result, int count) {
#pragma HLS INTERFACE mode = m_axi port = memory bundle = memory offset = slave max_read_burst_length = 64
#pragma HLS INTERFACE mode = s_axilite port = return
  int16_t held[8][kLanes];
#pragma HLS ARRAY_PARTITION variable = held type = complete dim = 2
#pragma HLS BIND_STORAGE variable = held type = ram_s2p impl = lutram
Outer:
  for (int i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 8
#pragma HLS PIPELINE II = 1
  Lanes:
    for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS UNROLL
      held[i & 7][lane] = int16_t(memory[i] / kLanes % (2 * kLanes));
      result[i] = shifted<2>(held[i & 7][lane]);
    }
  }
}
"""


def rules_found(code: str) -> list[tuple[int, str]]:
    return [(finding.line, finding.rule) for finding in lint_files({"kernel.cpp": code}, top="top").findings]


def function(body: str) -> str:
    """A clean top function and, from line 3 on, a helper with ``body``."""
    return f"""extern "C" void top() {{}}
void helper(int n, const int (&table)[16], int* out) {{
{body}
}}
"""


def test_code_that_follows_every_rule_is_clean() -> None:
    assert rules_found(CLEAN) == []


def test_a_finding_is_one_line_that_an_editor_can_jump_to() -> None:
    (finding,) = lint_files({"kernel/a.cpp": function("  int* p = new int;")}, top="top").findings
    assert str(finding) == "kernel/a.cpp:3: dynamic-memory: new: the size of hardware is fixed"


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        ("dynamic-memory", "  int* p = new int[4];"),
        ("dynamic-memory", "  delete out;"),
        ("dynamic-memory", "  out = (int*)malloc(16);"),
        ("dynamic-memory", "  int held[n];"),
        ("division", "  out[0] = table[0] / n;"),
        ("division", "  out[0] %= n;"),
        ("floating-point", "  float x;"),
        ("floating-point", "  out[0] = int(table[0] * 0.5);"),
        ("floating-point", "  out[0] = 1e3;"),
        ("floating-point", "  long double x;"),
        ("standard-library", "  std::vector<int> held;"),
        ("standard-library", "  out[0] = std::max(1, n);"),
        ("exception", "  throw n;"),
        ("exception", "  try { out[0] = 1; } catch (...) {}"),
        ("control-flow", "  auto f = [&] { return n; };"),
        ("control-flow", "  goto end; end: out[0] = 1;"),
        ("run-time-type", "  dynamic_cast<int*>(out);"),
        ("pragma", "#pragma HLS PIPELINED"),
        ("pragma", "#pragma HLS"),
        ("pragma", "#pragma HLS PIPELINE II ="),
        ("pragma-option", "#pragma HLS INLINE always"),
        ("pragma-option", "#pragma HLS INLINE off = true"),
        ("pragma-option", "#pragma HLS ARRAY_PARTITION variable = table type = cyclical factor = 2"),
        ("pragma-option", "#pragma HLS ARRAY_PARTITION variable = table type = cyclic"),
        ("pragma-option", "#pragma HLS ARRAY_PARTITION variable = table"),
        ("pragma-option", "#pragma HLS ARRAY_PARTITION variable = table type = block factor = n"),
        ("pragma-option", "#pragma HLS ARRAY_PARTITION variable = table type = complete dim = 1 dim = 1"),
        ("pragma-option", "#pragma HLS BIND_STORAGE variable = table type = ram_s2p impl = blockram"),
        ("pragma-variable", "#pragma HLS ARRAY_PARTITION variable = tabel type = complete"),
        ("pragma-variable", "#pragma HLS ARRAY_RESHAPE variable = table type = complete dim = 2"),
        ("pragma-variable", "#pragma HLS BIND_STORAGE variable = missing type = ram_s2p impl = bram"),
        ("pragma-variable", "#pragma HLS INTERFACE mode = m_axi port = missing"),
        ("pragma-place", "#pragma HLS UNROLL"),
        ("pragma-place", "#pragma HLS LOOP_TRIPCOUNT max = 4"),
        ("pragma-place", "  if (n) {\n#pragma HLS PIPELINE II = 1\n  }"),
        ("syntax", "  int = 4;"),
    ],
)
def test_what_has_no_place_in_hardware_is_found(rule: str, body: str) -> None:
    assert rule in [found for _, found in rules_found(function(body))]


@pytest.mark.parametrize(
    ("rule", "loop"),
    [
        ("loop-name", "  for (int i = 0; i < 4; ++i) {\n#pragma HLS PIPELINE II = 1\n    out[i] = 0;\n  }"),
        ("loop-tripcount", "L:\n  for (int i = 0; i < n; ++i) {\n#pragma HLS PIPELINE II = 1\n    out[i] = 0;\n  }"),
        ("loop-tripcount", "L:\n  for (int i = n; i > 0; --i) {\n#pragma HLS PIPELINE II = 1\n    out[i] = 0;\n  }"),
        ("loop-tripcount", "L:\n  while (out[0]) {\n#pragma HLS PIPELINE II = 1\n    out[0]--;\n  }"),
        ("loop-tripcount", "L:\n  do {\n#pragma HLS PIPELINE II = 1\n    out[0]--;\n  } while (out[0]);"),
        ("loop-pipeline", "L:\n  for (int i = 0; i < 4; ++i) {\n    out[i] = 0;\n  }"),
        (
            "loop-pipeline",
            "L:\n  for (int i = 0; i < 4; ++i) {\n  M:\n    for (int k = 0; k < 4; ++k) {\n#pragma HLS UNROLL\n"
            "      out[i] = k;\n    }\n  }",
        ),
        (
            "loop-pipeline",
            "L:\n  for (int i = 0; i < 4; ++i) {\n#pragma HLS PIPELINE II = 1\n  M:\n"
            "    for (int k = 0; k < n; ++k) {\n#pragma HLS LOOP_TRIPCOUNT max = 4\n      out[i] = k;\n    }\n  }",
        ),
        (
            "loop-pipeline",
            "L:\n  for (int i = 0; i < n; ++i) {\n#pragma HLS LOOP_TRIPCOUNT max = 4\n#pragma HLS UNROLL\n"
            "    out[i] = 0;\n  }",
        ),
    ],
)
def test_a_loop_that_breaks_a_rule_is_found_and_breaks_no_other(rule: str, loop: str) -> None:
    assert [found for _, found in rules_found(function(loop))] == [rule]


def test_a_loop_that_is_not_to_be_pipelined_says_so() -> None:
    loop = "L:\n  for (int i = 0; i < 4; ++i) {\n#pragma HLS PIPELINE off\n    out[i] = 0;\n  }"
    assert rules_found(function(loop)) == []


def test_recursion_is_found_through_other_functions_and_through_a_macro() -> None:
    code = """
    #define PROCESS(process, ...) process(__VA_ARGS__)
    int even(int n);
    int odd(int n) { return n == 0 ? 0 : even(n - 1); }
    int even(int n) { PROCESS(odd, n); return 1; }
    extern "C" void top() { even(3); }
    """
    assert rules_found(code) == [(4, "recursion"), (5, "recursion")]


def test_an_overload_that_calls_another_one_is_no_recursion() -> None:
    code = """
    int sum(int a, int b) { return a + b; }
    int sum(int a, int b, int c) { return sum(sum(a, b), c); }
    extern "C" void top() { sum(1, 2, 3); }
    """
    assert rules_found(code) == []


def test_a_virtual_function_is_found() -> None:
    code = 'struct S { virtual void run() {} };\nextern "C" void top() {}\n'
    assert (1, "run-time-type") in rules_found(code)


def test_only_the_branch_that_synthesis_takes_is_checked() -> None:
    code = """
    #if defined(__SYNTHESIS__) || defined(EXACT)
    int width() { return 4; }
    #else
    float width() { return 4.0f; }
    #endif
    #ifndef __SYNTHESIS__
    std::vector<int> trace;
    #endif
    #ifdef __SYNTHESIS__
    extern "C" void top() { width(); }
    #endif
    """
    assert rules_found(code) == []
    assert "floating-point" in [
        rule for _, rule in rules_found(code.replace("defined(__SYNTHESIS__)", "defined(OTHER)"))
    ]


def test_marks_that_expand_to_nothing_do_not_hide_what_is_behind_them() -> None:
    code = """
    #ifdef __SYNTHESIS__
    #define LOOP(name)
    #define CHECKED(name)
    template <typename T, int kBanks, int kDepth>
    using banked = T[kBanks][kDepth];
    #endif
    extern "C" void top(int n, int* out) {
      banked<int, 2, 4> held CHECKED(top.held);
    #pragma HLS ARRAY_PARTITION variable = held type = complete dim = DIM
    Named:
      LOOP(top.Named(1))
      for (int i = 0; i < 4; ++i) {
    #pragma HLS PIPELINE II = 1
        held[0][i] = out[i] MORE;
      }
    }
    """
    assert rules_found(code.replace("DIM", "2").replace("MORE", "")) == []
    assert rules_found(code.replace("DIM", "3").replace("MORE", "")) == [(10, "pragma-variable")]
    assert rules_found(code.replace("DIM", "2").replace("MORE", "/ n")) == [(15, "division")]


@pytest.mark.parametrize("value", ["kRows * 4", "kRows*4/2", "( kRows + 1 )", "8"])
def test_an_option_may_be_an_expression_of_constants(value: str) -> None:
    pragmas = f"#pragma HLS LOOP_TRIPCOUNT min = 1 max = {value}\n#pragma HLS PIPELINE II = 1\n"
    loop = f"L:\n  for (int i = 0; i < n; ++i) {{\n{pragmas}  }}"
    assert rules_found("constexpr int kRows = 4;" + function(loop)) == []
    wrong = loop.replace("kRows", "n").replace("max = 8", "max = 8.5")
    assert [rule for _, rule in rules_found("constexpr int kRows = 4;" + function(wrong))] == ["pragma-option"]


def test_a_const_variable_is_constant_only_if_what_it_is_made_from_is() -> None:
    assert rules_found(function("  const int size = 2 * 4;\n  const int half = size / 2;\n  int held[half];")) == []
    assert rules_found(function("  const int size = 2 * n;\n  const int half = size / 2;\n  int held[half];")) == [
        (5, "dynamic-memory")
    ]


def test_the_top_function_needs_c_linkage_and_one_definition() -> None:
    assert [rule for _, rule in rules_found("void top() {}\n")] == ["top"]
    assert [rule for _, rule in rules_found("void other() {}\n")] == ["top"]
    assert [rule for _, rule in rules_found('extern "C" void top() {}\nextern "C" void top() {}\n')] == ["top"]


def test_a_reciprocal_unit_may_divide_and_its_neighbour_may_not() -> None:
    code = """
    extern "C" void top() {}
    void reciprocals(int n, int* out) {
    Tokens:
      for (int t = 0; t < 4; ++t) {
    #pragma HLS PIPELINE II = 1
        out[t] = 100 / n;
      }
    Others:
      for (int t = 0; t < 4; ++t) {
    #pragma HLS PIPELINE II = 1
        out[t] = 100 / n;
      }
    }
    """
    assert rules_found(code) == [(12, "division")]


IN_A_PIPELINE = """L:
  for (int i = 0; i < n; ++i) {{
#pragma HLS LOOP_TRIPCOUNT max = 4
#pragma HLS PIPELINE II = 1
{body}
  }}"""


@pytest.mark.parametrize(
    "body",
    [
        "    Row row;\n    out[i] = row.lane[i];",
        "    Row row;\n    row.lane[n] = i;",
        "    Row row;\n  M:\n    for (int k = 0; k < 4; ++k) {\n      out[k] = row.lane[i + k];\n    }",
        "    int held[4];\n    held[i] = n;\n    out[i] = held[0];",
    ],
)
def test_an_index_known_at_run_time_needs_a_partition(body: str) -> None:
    code = "struct Row {\n  int lane[4];\n};\n" + function(IN_A_PIPELINE.format(body=body))
    assert [rule for _, rule in rules_found(code)] == ["run-time-index"]


@pytest.mark.parametrize(
    "body",
    [
        "    Row row;\n  M:\n    for (int k = 0; k < 4; ++k) {\n      out[k] = row.lane[k];\n    }",
        "    Row row;\n#pragma HLS ARRAY_PARTITION variable = row.lane type = complete\n    out[i] = row.lane[i];",
        "    int held[4];\n#pragma HLS ARRAY_PARTITION variable = held type = complete\n    held[i] = n;",
        "    Row row;\n    out[i] = row.lane[3];",
    ],
)
def test_an_index_that_hardware_knows_needs_none(body: str) -> None:
    code = "struct Row {\n  int lane[4];\n};\n" + function(IN_A_PIPELINE.format(body=body))
    assert [rule for _, rule in rules_found(code)] == []


def test_a_stream_that_no_pragma_binds_is_found() -> None:
    bound = '  hls::stream<int, 4> a("a");\n#pragma HLS BIND_STORAGE variable = a type = fifo impl = srl\n'
    assert rules_found(function(bound)) == []
    assert rules_found(function(bound + '  hls::stream<int, 4> b("b");')) == [(5, "fifo-binding")]


@pytest.mark.parametrize("name", ["program", "input", "output", "parameter", "event"])
def test_an_argument_of_the_top_function_is_no_word_of_systemverilog(name: str) -> None:
    assert [rule for _, rule in rules_found(f'extern "C" void top(const int* {name}) {{}}\n')] == ["top"]
    assert rules_found(f'extern "C" void top(const int* {name}_words) {{}}\n') == []

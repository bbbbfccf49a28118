"""C++ that somebody made to end the checker: one line, or findings."""

from __future__ import annotations

import pytest

from aebert.support.errors import AebertError
from codegen.lint.check import lint_files

DEEP = 100_000
LONG = "9" * 5000


@pytest.mark.parametrize(
    "text",
    [
        f"int f(){{return {'(' * DEEP}1{')' * DEEP};}}",
        f"void f(){'{' * DEEP}{'}' * DEEP}",
        f"int f(){{return {'1+' * DEEP}1;}}",
        f"void f(){{{'if(1){}else ' * 20_000}{{}}}}",
        "#if 1\n" * 20_000 + "int x;\n" + "#endif\n" * 20_000,
        f"#if {'!' * DEEP}1\nint x;\n#endif\n",
    ],
    ids=["parentheses", "blocks", "sums", "else", "conditions", "negations"],
)
def test_what_is_nested_without_end_is_refused(text: str) -> None:
    with pytest.raises(AebertError, match=r"kernel/kernel\.cpp: nested deeper than 200; generate"):
        lint_files({"kernel/kernel.cpp": text})


@pytest.mark.parametrize("number", [LONG, "1.5", "1'000", "0x10"])
def test_a_condition_that_is_no_decimal_number_is_refused(number: str) -> None:
    with pytest.raises(AebertError, match=r"line 1: #if .*: give a whole decimal number"):
        lint_files({"kernel/kernel.cpp": f"#if {number}\nint x;\n#endif\n"})


@pytest.mark.parametrize("value", [LONG, f"{'(' * DEEP}1{')' * DEEP}"], ids=["long", "deep"])
def test_a_pragma_of_a_senseless_value_is_a_finding(value: str) -> None:
    kernel = f"void aebert(int a[2]) {{\n#pragma HLS ARRAY_PARTITION variable = a dim = {value}\n}}\n"
    rules = {finding.rule for finding in lint_files({"kernel/kernel.cpp": kernel}, "aebert").findings}
    assert rules & {"pragma-variable", "pragma-value", "pragma-option"}, rules

"""LLVM's passes: what they take apart, what they leave where it is, and how their failure is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from aebert.support.errors import AebertError
from codegen.schedule.frontend import passes
from codegen.schedule.frontend.clang import compile_to_ir
from codegen.schedule.frontend.passes import optimise

EQUAL_ON_TWO_PATHS = """\
extern "C" int opaque(int);
inline int half(int value) { return (value + 3) / 2; }
int twice(int n, bool early) {
  int found = 0;
  if (early) found = opaque(half(n) * 7);
  return found + half(n) * 7;
}
"""


def _ir(folder: Path, text: str) -> str:
    source = folder / "kernel.cpp"
    source.write_text(text, encoding="utf-8")
    return compile_to_ir(source)


def test_helpers_are_inlined_and_gone_and_processes_stay(tmp_path: Path) -> None:
    text = optimise(_ir(tmp_path, EQUAL_ON_TWO_PATHS))
    (defined,) = [line for line in text.splitlines() if line.startswith("define")]
    assert "@_Z5twiceib(" in defined


def test_what_one_path_computes_is_not_computed_on_the_other_for_it(tmp_path: Path) -> None:
    """Partial redundancies would move the product in front of the branch, where synthesis leaves it behind."""
    text = optimise(_ir(tmp_path, EQUAL_ON_TWO_PATHS))
    assert text.count("mul nsw i32") == 2


def test_a_failing_pass_is_one_line_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "_PASSES", "no-such-pass")
    with pytest.raises(AebertError, match=r"LLVM's passes ended with -?\d+ .*no-such-pass.*please report the project$"):
        optimise(_ir(tmp_path, "int f(int n) { return n; }"))


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(AebertError, match="LLVM does not read what clang wrote"):
        optimise("this is no LLVM IR")

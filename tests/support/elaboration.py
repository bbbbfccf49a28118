"""SystemVerilog elaborated by slang (PyPI: pyslang), which shares no line with Verilator or Yosys."""

from __future__ import annotations

from collections.abc import Mapping

import pytest


def elaboration_errors(files: Mapping[str, str], top: str) -> str:
    """What slang says against ``files`` below ``top``, with file and line; warnings are left out."""
    pyslang = pytest.importorskip("pyslang", reason="the extra test is not installed")
    options = pyslang.ast.CompilationOptions()
    options.topModules = {top}
    manager = pyslang.SourceManager()
    compilation = pyslang.ast.Compilation(pyslang.Bag([options]))
    for name, text in files.items():
        compilation.addSyntaxTree(pyslang.syntax.SyntaxTree.fromText(text, manager, name, name))
    errors = [each for each in compilation.getAllDiagnostics() if each.isError()]
    report: str = pyslang.DiagnosticEngine.reportAll(manager, errors)
    return report

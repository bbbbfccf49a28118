"""Checks the C++ of a project as synthesis sees it. The rules are explained in docs/hls_style.md."""

from codegen.lint.check import LintReport, lint_files, lint_project
from codegen.lint.finding import Finding

__all__ = ["Finding", "LintReport", "lint_files", "lint_project"]

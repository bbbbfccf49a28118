"""All rules over all files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.support.input_files import foreign, read_input
from codegen.lint.constants import constant_names
from codegen.lint.finding import Finding
from codegen.lint.functions import all_loops, array_aliases, functions_of, loops_of
from codegen.lint.language_rules import check_language, check_recursion, check_top
from codegen.lint.loop_rules import check_loops
from codegen.lint.macros import empty_macros, without_macros
from codegen.lint.pragma import read_pragma
from codegen.lint.pragma_rules import check_pragmas
from codegen.lint.source import descendants, parse_sources
from codegen.lint.storage_rules import check_storage
from codegen.manifest import TOP
from codegen.project_sources import LARGEST_SOURCE

KERNEL_FOLDER = "kernel"
_SUFFIXES = (".h", ".cpp")


@dataclass(frozen=True)
class LintReport:
    """``findings`` in order of file and line; the counts say how much was looked at."""

    findings: tuple[Finding, ...]
    files: int
    functions: int
    loops: int
    pragmas: int


def lint_files(files: Mapping[str, str], top: str = TOP) -> LintReport:
    """Checks synthesised C++: file name -> text."""
    written = parse_sources(files)
    nothing = empty_macros(written)
    sources = parse_sources({source.name: without_macros(source, nothing) for source in written})
    aliases = array_aliases(sources)
    constants = constant_names(sources)
    functions = {source.name: tuple(functions_of(source, aliases)) for source in sources}
    everything = tuple(function for found in functions.values() for function in found)
    findings = [*check_recursion(everything), *check_top(everything, top)]
    for source in sources:
        findings += check_pragmas(source, functions[source.name], constants)
        findings += check_language(source, constants)
    for function in everything:
        findings += check_loops(function, constants)
        findings += check_storage(function, constants)
    pragmas = [node for source in sources for node in descendants(source.root, "preproc_call") if read_pragma(node)]
    loops = [loop for function in everything if function.body for loop in all_loops(loops_of(function.body))]
    return LintReport(tuple(sorted(set(findings))), len(sources), len(everything), len(loops), len(pragmas))


def lint_project(project: Path, top: str = TOP) -> LintReport:
    """Checks ``project/kernel``; emulation and test bench are not synthesised.

    Raises AebertError where there is no kernel.
    """
    paths = sorted(path for path in (project / KERNEL_FOLDER).glob("*") if path.suffix in _SUFFIXES)
    if not paths:
        raise AebertError(f"{project}: no C++ in {KERNEL_FOLDER}/; give a generated project")
    texts = {}
    for path in paths:
        content = read_input(path, LARGEST_SOURCE)
        with foreign(path, "not UTF-8 text", "generate the project again"):
            texts[f"{KERNEL_FOLDER}/{path.name}"] = content.decode("utf-8")
    return lint_files(texts, top)

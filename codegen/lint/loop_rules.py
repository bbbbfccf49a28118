"""Loops: named, with a trip count that a report can use, pipelined where that makes sense."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from codegen.lint.constants import is_constant
from codegen.lint.finding import Finding
from codegen.lint.functions import Function, SourceLoop, all_loops, loops_of
from codegen.lint.pragma import SourcePragma, read_pragma
from codegen.lint.source import line_of, text_of

_COMPARISONS = frozenset({"<", "<=", ">", ">=", "!="})


def check_loops(function: Function, constants: frozenset[str]) -> Iterator[Finding]:
    body = function.body
    if body is None:
        return
    loops = loops_of(body)
    for loop in all_loops(loops):
        pragmas = _pragmas(loop)
        if not loop.label:
            yield _finding(function, loop, "loop-name", "loop has no label; name it after its role")
        if not has_constant_bound(loop.node, constants) and "LOOP_TRIPCOUNT" not in pragmas:
            yield _finding(
                function, loop, "loop-tripcount", f"{_called(loop)} has no constant bound and no LOOP_TRIPCOUNT"
            )
    for loop in loops:
        yield from _pipelining(function, loop, constants)


def _pragmas(loop: SourceLoop) -> dict[str, SourcePragma]:
    found = (read_pragma(node) for node in loop.pragmas)
    return {pragma.name: pragma for pragma in found if pragma is not None}


def _called(loop: SourceLoop) -> str:
    return f"loop {loop.label}" if loop.label else "loop"


def _finding(function: Function, loop: SourceLoop, rule: str, message: str) -> Finding:
    return Finding(function.source.name, line_of(loop.node), rule, message)


def _pipelining(function: Function, loop: SourceLoop, constants: frozenset[str]) -> Iterator[Finding]:
    """Loops outside any pipeline. HLS unrolls whatever is inside one (UG1399, pragma HLS pipeline)."""
    pragmas = _pragmas(loop)
    pipeline, unroll = pragmas.get("PIPELINE"), pragmas.get("UNROLL")
    if pipeline is not None and "off" not in pipeline.options:
        for inner in all_loops(loop.inner):
            if not has_constant_bound(inner.node, constants):
                yield _finding(
                    function,
                    inner,
                    "loop-pipeline",
                    f"{_called(inner)} cannot be unrolled, so {_called(loop)} around it cannot be pipelined",
                )
    elif unroll is not None and "factor" not in unroll.options:
        if not has_constant_bound(loop.node, constants):
            yield _finding(function, loop, "loop-pipeline", f"{_called(loop)} has no constant bound to unroll by")
        for inner in loop.inner:
            yield from _pipelining(function, inner, constants)
    elif pipeline is None and all(_is_unrolled(inner) for inner in loop.inner):
        yield _finding(function, loop, "loop-pipeline", f"{_called(loop)} is innermost but has no PIPELINE")
    else:
        for inner in loop.inner:
            yield from _pipelining(function, inner, constants)


def _is_unrolled(loop: SourceLoop) -> bool:
    return "UNROLL" in _pragmas(loop) and all(_is_unrolled(inner) for inner in loop.inner)


def has_constant_bound(loop: Node, constants: frozenset[str]) -> bool:
    """``for`` from a constant to a constant."""
    if loop.type != "for_statement":
        return False
    condition, initial = loop.child_by_field_name("condition"), loop.child_by_field_name("initializer")
    if condition is None or initial is None or condition.type != "binary_expression":
        return False
    if text_of(condition.child_by_field_name("operator")) not in _COMPARISONS:
        return False
    bound = condition.child_by_field_name("right")
    declarators = initial.children_by_field_name("declarator")
    values = [declarator.child_by_field_name("value") for declarator in declarators]
    return (
        bound is not None
        and is_constant(bound, constants)
        and bool(values)
        and all(value is not None and is_constant(value, constants) for value in values)
    )

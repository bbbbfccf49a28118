"""Storage: what a tool would put into one memory, or into block RAM, unless a pragma says otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from codegen.lint.constants import is_constant
from codegen.lint.finding import Finding
from codegen.lint.functions import LOOPS, Function, declared_name
from codegen.lint.loop_rules import has_constant_bound
from codegen.lint.pragma import read_pragma
from codegen.lint.source import children, descendants, line_of, text_of

_STORAGE_PRAGMAS = frozenset({"ARRAY_PARTITION", "ARRAY_RESHAPE", "BIND_STORAGE"})


def check_storage(function: Function, constants: frozenset[str]) -> Iterator[Finding]:
    body = function.body
    if body is None:
        return
    placed = frozenset(_placed(body))
    yield from _run_time_indices(function, body, placed, constants)
    for node in descendants(body, "declaration"):
        if text_of(node.child_by_field_name("type")).startswith("hls::stream<"):
            for declarator in node.children_by_field_name("declarator"):
                name = declared_name(declarator)
                if name not in placed:
                    message = f"stream {name} has no BIND_STORAGE: a tool binds more than 1024 bits to block RAM"
                    yield Finding(function.source.name, line_of(node), "fifo-binding", message)


def _placed(body: Node) -> Iterator[str]:
    """Variables, and members of variables, whose storage a pragma of the function decides."""
    for node in descendants(body, "preproc_call"):
        pragma = read_pragma(node)
        if pragma is not None and pragma.name in _STORAGE_PRAGMAS:
            yield pragma.options.get("variable") or ""


def _run_time_indices(
    function: Function, body: Node, placed: frozenset[str], constants: frozenset[str]
) -> Iterator[Finding]:
    for node in descendants(body, "subscript_expression"):
        array, indices = node.child_by_field_name("argument"), node.child_by_field_name("indices")
        if array is None or indices is None or not _is_placed_by_pragma(array, function):
            continue
        name = text_of(array).partition("[")[0]
        counters = constants | frozenset(_unrolled_counters(node, constants))
        constant = all(is_constant(index, counters) for index in indices.named_children)
        if not constant and not {name, name.partition(".")[0]} & placed:
            message = f"{name} has an index known at run time only and no ARRAY_PARTITION: one memory, a few ports"
            yield Finding(function.source.name, line_of(node), "run-time-index", message)


def _is_placed_by_pragma(array: Node, function: Function) -> bool:
    """A member of a struct, or an array that the function itself declares."""
    if array.type == "field_expression":
        return True
    return array.type == "identifier" and text_of(array) in set(function.variables) - set(function.parameters)


def _unrolled_counters(node: Node, constants: frozenset[str]) -> Iterator[str]:
    """Counters of the loops around ``node`` that are constants in hardware: unrolled, or inside a pipelined loop."""
    found: list[str] = []
    above = node.parent
    while above is not None:
        if above.type in LOOPS:
            pragmas = _pragma_names(above)
            if "PIPELINE" in pragmas:
                yield from found
                return
            if has_constant_bound(above, constants):
                counter = _counter(above)
                found.append(counter)
                if "UNROLL" in pragmas:
                    yield counter
        above = above.parent


def _pragma_names(loop: Node) -> frozenset[str]:
    body = loop.child_by_field_name("body")
    inside = () if body is None else children(body)
    pragmas = (read_pragma(child) for child in inside if child.type == "preproc_call")
    return frozenset(pragma.name for pragma in pragmas if pragma is not None)


def _counter(loop: Node) -> str:
    initial = loop.child_by_field_name("initializer")
    declarator = None if initial is None else initial.child_by_field_name("declarator")
    return "" if declarator is None else declared_name(declarator)

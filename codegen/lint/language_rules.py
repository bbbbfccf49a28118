"""The language: what has no counterpart in hardware, or one nobody wants by accident."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from codegen.lint.constants import is_constant
from codegen.lint.finding import Finding
from codegen.lint.functions import Function
from codegen.lint.hdl_keywords import HDL_KEYWORDS
from codegen.lint.source import CppSource, descendants, line_of, text_of, walk

# (function, loop label) pairs whose divider is meant: one pipelined unit, shared by all lanes.
RECIPROCAL_UNITS = frozenset({("reciprocals", "Tokens")})

# What synthesised code may use of namespace std: names that exist at compile time only, and integer types.
STD_NAMES = frozenset(
    {
        "conditional", "conditional_t", "decay_t", "enable_if", "enable_if_t", "false_type", "integral_constant",
        "is_same", "is_signed", "make_signed_t", "make_unsigned_t", "numeric_limits", "remove_reference_t", "true_type",
        "int8_t", "int16_t", "int32_t", "int64_t", "size_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t",
    }
)  # fmt: skip

_ALLOCATORS = frozenset({"malloc", "calloc", "realloc", "free", "alloca", "aligned_alloc", "posix_memalign", "strdup"})
_FLOATING_TYPES = frozenset({"float", "double", "half"})
_RUN_TIME_TYPES = frozenset({"dynamic_cast", "typeid"})
_FORBIDDEN_NODES = {
    "new_expression": ("dynamic-memory", "new: the size of hardware is fixed"),
    "delete_expression": ("dynamic-memory", "delete: the size of hardware is fixed"),
    "virtual": ("run-time-type", "virtual: calls are resolved when the hardware is built"),
    "try_statement": ("exception", "try: there is nothing to unwind"),
    "throw_statement": ("exception", "throw: there is nothing to unwind"),
    "goto_statement": ("control-flow", "goto: write a loop"),
    "lambda_expression": ("control-flow", "lambda: write a function, so that reports name it"),
}
_FLOATING = "floating point: the integer contract has none (docs/numerics.md)"


def check_language(source: CppSource, constants: frozenset[str]) -> Iterator[Finding]:
    for node in walk(source.root):
        for rule, message in _problems(node, constants):
            yield Finding(source.name, line_of(node), rule, message)


def _problems(node: Node, constants: frozenset[str]) -> Iterator[tuple[str, str]]:
    if node.type in _FORBIDDEN_NODES:
        yield _FORBIDDEN_NODES[node.type]
    elif node.type == "ERROR" or node.is_missing:
        yield "syntax", f"cannot be parsed near {text_of(node)[:40]!r}"
    elif node.type == "identifier":
        yield from _identifier_problems(text_of(node))
    elif node.type in ("primitive_type", "type_identifier", "sized_type_specifier"):
        if _FLOATING_TYPES & set(text_of(node).split()):
            yield "floating-point", f"{text_of(node)}: {_FLOATING}"
    elif node.type == "number_literal" and _is_floating(text_of(node)):
        yield "floating-point", f"{text_of(node)}: {_FLOATING}"
    elif node.type == "qualified_identifier":
        yield from _qualified_problems(node)
    elif node.type == "array_declarator":
        size = node.child_by_field_name("size")
        if size is not None and not is_constant(size, constants):
            yield "dynamic-memory", f"array of size {text_of(size)}: not a constant of the design"
    elif node.type in ("binary_expression", "assignment_expression"):
        yield from _division_problems(node, constants)


def _identifier_problems(name: str) -> Iterator[tuple[str, str]]:
    if name in _ALLOCATORS:
        yield "dynamic-memory", f"{name}: the size of hardware is fixed"
    elif name in _RUN_TIME_TYPES:
        yield "run-time-type", f"{name}: types are resolved when the hardware is built"


def _is_floating(literal: str) -> bool:
    if literal.lower().startswith("0x"):
        return "p" in literal.lower()
    return any(character in ".eE" for character in literal)


def _qualified_problems(node: Node) -> Iterator[tuple[str, str]]:
    if text_of(node.child_by_field_name("scope")) != "std":
        return
    name = node.child_by_field_name("name")
    if name is not None and name.type in ("template_type", "template_function"):
        name = name.child_by_field_name("name")
    if text_of(name) not in STD_NAMES:
        yield "standard-library", f"std::{text_of(name)}: is not for synthesis"


def _division_problems(node: Node, constants: frozenset[str]) -> Iterator[tuple[str, str]]:
    operator = text_of(node.child_by_field_name("operator"))
    divisor = node.child_by_field_name("right")
    if operator not in ("/", "%", "/=", "%=") or divisor is None or is_constant(divisor, constants):
        return
    if _place(node) not in RECIPROCAL_UNITS:
        yield (
            "division",
            f"{text_of(node)[:60]}: a divider outside the reciprocal units; multiply by a reciprocal or count",
        )


def _place(node: Node) -> tuple[str, str]:
    """The function, and the label of the innermost loop around ``node``."""
    label = ""
    above = node.parent
    while above is not None:
        if above.type == "labeled_statement" and not label:
            label = text_of(above.child_by_field_name("label"))
        if above.type == "function_definition":
            declarator = above.child_by_field_name("declarator")
            name = None if declarator is None else declarator.child_by_field_name("declarator")
            return text_of(name), label
        above = above.parent
    return "", label


def check_recursion(functions: tuple[Function, ...]) -> Iterator[Finding]:
    """Functions that reach themselves. Overloads are told apart by their number of arguments."""
    calls = {key: set[tuple[str, int]]() for key in (_key(function) for function in functions)}
    names: dict[str, list[tuple[str, int]]] = {}
    for key in calls:
        names.setdefault(key[0], []).append(key)
    for function in functions:
        calls[_key(function)] |= _called(function, names)
    for function in functions:
        if _reaches(_key(function), calls):
            message = f"{function.name} calls itself, directly or through others"
            yield Finding(function.source.name, line_of(function.node), "recursion", message)


def _key(function: Function) -> tuple[str, int]:
    return function.name, len(function.parameters)


def _called(function: Function, names: dict[str, list[tuple[str, int]]]) -> set[tuple[str, int]]:
    if function.body is None:
        return set()
    found: set[tuple[str, int]] = set()
    direct: set[int] = set()
    for call in descendants(function.body, "call_expression"):
        callee, arguments = call.child_by_field_name("function"), call.child_by_field_name("arguments")
        if callee is None or arguments is None:
            continue
        while callee.type in ("qualified_identifier", "template_function"):
            inner = callee.child_by_field_name("name")
            if inner is None:
                break
            callee = inner
        direct.add(callee.start_byte)
        key = (text_of(callee), len(arguments.named_children))
        found |= {key} & set(names.get(key[0], ()))
    # A function that is named but not called there, as in AEBERT_PROCESS(engine, ...), is called by the macro.
    for node in descendants(function.body, "identifier"):
        name = text_of(node)
        if node.start_byte not in direct and name not in function.variables:
            found |= set(names.get(name, ()))
    return found


def _reaches(start: tuple[str, int], calls: dict[tuple[str, int], set[tuple[str, int]]]) -> bool:
    seen: set[tuple[str, int]] = set()
    waiting = list(calls[start])
    while waiting:
        current = waiting.pop()
        if current == start:
            return True
        if current not in seen:
            seen.add(current)
            waiting += calls[current]
    return False


def check_top(functions: tuple[Function, ...], top: str) -> Iterator[Finding]:
    """One definition of the top function, with C linkage, so that v++ and the emulator's loader find its name."""
    tops = [function for function in functions if function.name == top]
    if not tops:
        yield Finding("kernel", 1, "top", f"no definition of the top function {top}")
    for function in tops:
        if not function.is_extern_c:
            yield Finding(function.source.name, line_of(function.node), "top", f'{top} must be extern "C"')
        for parameter in function.parameters:
            if parameter in HDL_KEYWORDS:
                message = (
                    f"argument {parameter} is a keyword of SystemVerilog; the port gets another name than the host's"
                )
                yield Finding(function.source.name, line_of(function.node), "top", message)
    for function in tops[1:]:
        yield Finding(function.source.name, line_of(function.node), "top", f"{top} is defined twice")

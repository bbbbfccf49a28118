"""Pragmas: known, complete, with values of the right kind, in the right place, about variables that exist."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from aebert.support.whole_number import whole_number
from codegen.lint.constants import is_constant
from codegen.lint.finding import Finding
from codegen.lint.functions import LOOPS, Function
from codegen.lint.pragma import SourcePragma, read_pragma
from codegen.lint.pragma_table import PRAGMAS, Option, PragmaForm
from codegen.lint.source import CppSource, descendants, line_of, parse_expression, text_of, walk

_ARRAY_PRAGMAS = frozenset({"ARRAY_PARTITION", "ARRAY_RESHAPE"})
_RETURN = "return"


def check_pragmas(source: CppSource, functions: tuple[Function, ...], constants: frozenset[str]) -> Iterator[Finding]:
    """``functions``: those of ``source``."""
    for node in descendants(source.root, "preproc_call"):
        pragma = read_pragma(node)
        if pragma is not None:
            function = next((each for each in functions if _encloses(each.node, node)), None)
            for rule, message in _problems(pragma, node, function, constants):
                yield Finding(source.name, line_of(node), rule, message)


def _encloses(outer: Node, inner: Node) -> bool:
    return outer.start_byte <= inner.start_byte and inner.end_byte <= outer.end_byte


def _problems(
    pragma: SourcePragma, node: Node, function: Function | None, constants: frozenset[str]
) -> Iterator[tuple[str, str]]:
    if pragma.malformed:
        yield "pragma", f"{pragma.name} {pragma.malformed}".strip()
        return
    form = PRAGMAS.get(pragma.name)
    if form is None:
        yield "pragma", f"{pragma.name} is not a pragma of UG1399"
        return
    for name in pragma.repeated:
        yield "pragma-option", f"{pragma.name} gives {name} twice"
    for name in sorted(form.required - set(pragma.options)):
        yield "pragma-option", f"{pragma.name} needs {name}="
    for name, value in pragma.options.items():
        option = form.options.get(name)
        if option is None:
            yield "pragma-option", f"{pragma.name} has no option {name}; it has {', '.join(form.options)}"
        elif (problem := _value_problem(option, value, constants)) is not None:
            yield "pragma-option", f"{pragma.name} {name}: {problem}"
    array_type = pragma.options.get("type") if pragma.name in _ARRAY_PRAGMAS else None
    if array_type in ("cyclic", "block") and "factor" not in pragma.options:
        yield "pragma-option", f"{pragma.name} type={array_type} needs factor="
    yield from _place_problems(pragma, form, node, function)
    if function is not None:
        yield from _variable_problems(pragma, form, function)


def _value_problem(option: Option, value: str | None, constants: frozenset[str]) -> str | None:
    if option.kind == "flag":
        return None if value is None else f"takes no value, not {value!r}"
    if value is None:
        return "needs a value"
    if option.kind == "choice" and value not in option.choices:
        return f"{value!r} is none of {', '.join(sorted(option.choices))}"
    if option.kind in ("integer", "number") and not _is_constant_number(value, option.kind == "number", constants):
        return f"{value!r} is not a constant of the design"
    if option.kind == "name" and not (value[0].isalpha() or value[0] == "_"):
        return f"{value!r} is not a name"
    return None


def _is_constant_number(value: str, may_be_fraction: bool, constants: frozenset[str]) -> bool:
    expression = parse_expression(value)
    if expression is None or not is_constant(expression, constants):
        return False
    return may_be_fraction or all(
        "." not in text_of(node) for node in walk(expression) if node.type == "number_literal"
    )


def _place_problems(
    pragma: SourcePragma, form: PragmaForm, node: Node, function: Function | None
) -> Iterator[tuple[str, str]]:
    if function is None:
        yield "pragma-place", f"{pragma.name} stands outside every function"
        return
    parent = node.parent
    while parent is not None and parent.type.startswith("preproc_"):
        parent = parent.parent
    in_loop = parent is not None and parent.parent is not None and parent.parent.type in LOOPS
    in_function = parent == function.body
    if form.place == "loop" and not in_loop:
        yield "pragma-place", f"{pragma.name} must stand directly in a loop's body"
    if form.place == "function or loop" and not (in_loop or in_function):
        yield "pragma-place", f"{pragma.name} must stand directly in the body of a function or loop"
    if pragma.name == "INTERFACE" and not in_function:
        yield "pragma-place", "INTERFACE must stand directly in the body of the top function"


def _variable_problems(pragma: SourcePragma, form: PragmaForm, function: Function) -> Iterator[tuple[str, str]]:
    if form.variable_option is None:
        return
    value = pragma.options.get(form.variable_option)
    if value is None:
        return
    base = _base_name(value)
    if form.variable_option == "port":
        if base != _RETURN and base not in function.parameters:
            yield "pragma-variable", f"{pragma.name} port {base}: {function.name} has no such parameter"
        return
    if base not in function.variables:
        yield "pragma-variable", f"{pragma.name} variable {base}: {function.name} declares no such variable"
        return
    dim = pragma.options.get("dim")
    rank = function.variables[base]
    if pragma.name in _ARRAY_PRAGMAS and base == value and dim is not None and _is_above(dim, rank):
        yield "pragma-variable", f"{pragma.name} dim = {dim}: {base} has {rank} dimension{'s' * (rank != 1)}"


def _is_above(digits: str, rank: int) -> bool:
    """False for what is no number, which is another rule's."""
    number = whole_number(digits)
    return digits.isdecimal() and (number is None or number > rank)


def _base_name(value: str) -> str:
    """``a`` of ``a``, ``a.b``, ``a->b`` and ``a[0]``."""
    end = next((at for at, character in enumerate(value) if not (character.isalnum() or character == "_")), len(value))
    return value[:end]

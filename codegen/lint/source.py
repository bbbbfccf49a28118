"""C++ as a syntax tree (tree-sitter), as synthesis sees it: only the preprocessor branches that are taken there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import tree_sitter_cpp
from tree_sitter import Language, Node, Parser

from aebert.support.errors import AebertError
from aebert.support.input_files import quoted
from aebert.support.whole_number import whole_number

SYNTHESIS_MACROS = frozenset({"__SYNTHESIS__", "__cplusplus"})

# Generated C++ is 32 deep. What goes through trees calls itself at every level, and Python ends that at about 1000.
DEEPEST_TREE = 200

_CPP = Language(tree_sitter_cpp.language())
_BRANCHES = frozenset({"preproc_if", "preproc_ifdef", "preproc_elif", "preproc_elifdef"})


@dataclass(frozen=True)
class CppSource:
    """One file: its name within the project and the root of its syntax tree."""

    name: str
    root: Node


def parse_sources(files: Mapping[str, str]) -> tuple[CppSource, ...]:
    """``files``: name -> text. Raises AebertError for one that is nested too deeply."""
    parser = Parser(_CPP)
    sources = []
    for name, text in sorted(files.items()):
        root = parser.parse(text.encode()).root_node
        if _is_deep(root):
            raise AebertError(f"{name}: nested deeper than {DEEPEST_TREE}; generate the project again")
        sources.append(CppSource(name, root))
    return tuple(sources)


def parse_expression(expression: str) -> Node | None:
    """The tree of a C++ expression; None where it is none, or nested too deeply for one."""
    root = Parser(_CPP).parse(f"auto x = {expression};".encode()).root_node
    declarator = root.named_children[0].child_by_field_name("declarator") if root.named_children else None
    if root.has_error or declarator is None or _is_deep(root):
        return None
    return declarator.child_by_field_name("value")


def _is_deep(root: Node) -> bool:
    cursor, depth = root.walk(), 1
    while depth <= DEEPEST_TREE:
        if cursor.goto_first_child():
            depth += 1
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return False
            depth -= 1
    return True


def text_of(node: Node | None) -> str:
    return "" if node is None or node.text is None else node.text.decode()


def line_of(node: Node) -> int:
    return node.start_point.row + 1


def children(node: Node) -> Iterator[Node]:
    """The children that synthesis sees; those of a taken preprocessor branch stand in the branch's place."""
    for child in node.children:
        if child.type in _BRANCHES:
            yield from _taken(child)
        else:
            yield child


def walk(node: Node) -> Iterator[Node]:
    """``node`` and all below it, parents first."""
    yield node
    for child in children(node):
        yield from walk(child)


def descendants(node: Node, *types: str) -> Iterator[Node]:
    """All of these types below ``node``, itself left out."""
    for child in children(node):
        for found in walk(child):
            if found.type in types:
                yield found


def _taken(branch: Node) -> Iterator[Node]:
    alternative = branch.child_by_field_name("alternative")
    condition = branch.child_by_field_name("condition") or branch.child_by_field_name("name")
    if _holds(branch, condition):
        for child in children(branch):
            if child not in (alternative, condition):
                yield child
    elif alternative is not None:
        if alternative.type == "preproc_else":
            yield from children(alternative)
        else:
            yield from _taken(alternative)


def _holds(branch: Node, condition: Node | None) -> bool:
    if branch.type in ("preproc_ifdef", "preproc_elifdef"):
        defined = text_of(condition) in SYNTHESIS_MACROS
        return defined != branch.children[0].type.endswith("ndef")
    return condition is not None and _value(condition) != 0


def _value(node: Node) -> int:
    """A preprocessor condition; a name that is not defined is 0, as the standard has it."""
    if node.type == "preproc_defined":
        return int(any(text_of(child) in SYNTHESIS_MACROS for child in node.children if child.type == "identifier"))
    if node.type == "parenthesized_expression":
        return _value(node.named_children[0])
    if node.type == "number_literal":
        number = whole_number(text_of(node).rstrip("uUlL"))
        if number is None:
            raise AebertError(f"line {line_of(node)}: #if {quoted(text_of(node))}: give a whole decimal number")
        return number
    if node.type == "unary_expression":
        argument = node.child_by_field_name("argument")
        return int(argument is not None and _value(argument) == 0)
    if node.type == "binary_expression":
        left, right = (node.child_by_field_name(side) for side in ("left", "right"))
        values = [0 if side is None else _value(side) for side in (left, right)]
        operator = text_of(node.child_by_field_name("operator"))
        return int({"||": any(values), "&&": all(values), "==": values[0] == values[1]}.get(operator, False))
    return 0

"""Which expressions are constant when the design is synthesised."""

from __future__ import annotations

from collections.abc import Iterable

from tree_sitter import Node

from codegen.lint.functions import declared_name
from codegen.lint.source import CppSource, children, descendants, text_of

_LITERALS = frozenset({"number_literal", "char_literal", "true", "false", "sizeof_expression"})
_TRANSPARENT = frozenset(
    {"binary_expression", "unary_expression", "parenthesized_expression", "conditional_expression", "cast_expression"}
)
_TYPES = frozenset({"primitive_type", "type_descriptor", "type_identifier", "sized_type_specifier"})


def constant_names(sources: Iterable[CppSource]) -> frozenset[str]:
    """constexpr variables, enumerators and template parameters of all files, and const variables made from them."""
    found: set[str] = set()
    conditional: list[tuple[str, Node]] = []
    for source in sources:
        for node in descendants(source.root, "enumerator"):
            found.add(text_of(node.child_by_field_name("name")))
        for node in descendants(source.root, "template_parameter_list"):
            for parameter in descendants(node, "parameter_declaration", "optional_parameter_declaration"):
                declarator = parameter.child_by_field_name("declarator")
                found.add("" if declarator is None else declared_name(declarator))
        for node in descendants(source.root, "declaration"):
            qualifiers = {text_of(child) for child in children(node) if child.type == "type_qualifier"}
            for declarator in node.children_by_field_name("declarator"):
                value = declarator.child_by_field_name("value")
                if "constexpr" in qualifiers:
                    found.add(declared_name(declarator))
                elif "const" in qualifiers and value is not None:
                    conditional.append((declared_name(declarator), value))
    found.discard("")
    # A const variable is constant only if no declaration of that name, in any function, is anything else.
    names = {name for name, _ in conditional} - found
    while True:
        held = {
            name
            for name in names
            if all(is_constant(value, found | names) for other, value in conditional if other == name)
        }
        if held == names:
            return frozenset(found | names)
        names = held


def is_constant(node: Node, names: Iterable[str]) -> bool:
    """Whether ``node`` is an expression of literals and ``names`` alone."""
    known = names if isinstance(names, (set, frozenset)) else set(names)
    if node.type in _LITERALS:
        return True
    if node.type == "identifier":
        return text_of(node) in known
    if node.type == "qualified_identifier":
        return text_of(node.child_by_field_name("name")) in known
    if node.type == "call_expression":
        # A conversion such as int64_t(1).
        function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        converts = function is not None and (function.type in _TYPES or text_of(function).endswith("_t"))
        return converts and arguments is not None and all(is_constant(each, known) for each in arguments.named_children)
    if node.type in _TRANSPARENT:
        return all(is_constant(child, known) for child in node.named_children if child.type not in _TYPES)
    return False

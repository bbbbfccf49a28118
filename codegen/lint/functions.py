"""Functions of the synthesised code: their names, parameters, local variables and array ranks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tree_sitter import Node

from codegen.lint.source import CppSource, children, descendants, text_of

_DECLARATORS = frozenset(
    {
        "array_declarator",
        "pointer_declarator",
        "reference_declarator",
        "parenthesized_declarator",
        "init_declarator",
        "function_declarator",
    }
)
_DECLARATIONS = ("declaration", "parameter_declaration", "optional_parameter_declaration")


@dataclass(frozen=True)
class Function:
    """``variables`` maps each parameter and local variable to its number of array dimensions."""

    source: CppSource
    node: Node
    name: str
    parameters: tuple[str, ...]
    variables: dict[str, int]

    @property
    def body(self) -> Node | None:
        return self.node.child_by_field_name("body")

    @property
    def is_extern_c(self) -> bool:
        above = self.node.parent
        while above is not None:
            if above.type == "linkage_specification":
                return text_of(above.child_by_field_name("value")) == '"C"'
            above = above.parent
        return False


def array_aliases(sources: Iterable[CppSource]) -> dict[str, int]:
    """Type aliases of arrays, such as ``using memory = T[kDepth]``, or of such aliases; their number of dimensions."""
    nodes = [node for source in sources for node in descendants(source.root, "alias_declaration")]
    found: dict[str, int] = {}
    others: dict[str, str] = {}
    for node in nodes:
        name = text_of(node.child_by_field_name("name"))
        dimensions = sum(1 for _ in descendants(node, "abstract_array_declarator"))
        if dimensions:
            found[name] = dimensions
        else:
            others[name] = _aliased_name(node)
    return found | {name: found[original] for name, original in others.items() if original in found}


def _aliased_name(alias: Node) -> str:
    described = alias.child_by_field_name("type")
    return _type_name(None if described is None else described.child_by_field_name("type"))


def functions_of(source: CppSource, aliases: Mapping[str, int]) -> Iterator[Function]:
    """``aliases``: see `array_aliases`."""
    for node in descendants(source.root, "function_definition"):
        declarator = node.child_by_field_name("declarator")
        while declarator is not None and declarator.type != "function_declarator":
            declarator = _inner(declarator)
        if declarator is None:
            continue
        list_node = declarator.child_by_field_name("parameters")
        parameters = () if list_node is None else tuple(_declared(list_node, aliases))
        body = node.child_by_field_name("body")
        local = () if body is None else _declared(body, aliases)
        yield Function(
            source=source,
            node=node,
            name=declared_name(declarator),
            parameters=tuple(name for name, _ in parameters),
            variables={**dict(parameters), **dict(local)},
        )


def _declared(place: Node, aliases: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Name and rank of everything declared below ``place``."""
    for node in descendants(place, *_DECLARATIONS, "for_range_loop"):
        of_type = aliases.get(_type_name(node.child_by_field_name("type")), 0)
        for declarator in node.children_by_field_name("declarator"):
            yield declared_name(declarator), _rank(declarator) + of_type


def _type_name(node: Node | None) -> str:
    """The last part of a type's name, without template arguments."""
    while node is not None and node.type in ("qualified_identifier", "template_type"):
        node = node.child_by_field_name("name")
    return text_of(node)


def declared_name(declarator: Node) -> str:
    """The name inside any nest of declarators; the last part of a qualified one."""
    while declarator.type in _DECLARATORS:
        inner = _inner(declarator)
        if inner is None:
            return ""
        declarator = inner
    if declarator.type == "qualified_identifier":
        return text_of(declarator.child_by_field_name("name"))
    return text_of(declarator)


def _inner(declarator: Node) -> Node | None:
    inner = declarator.child_by_field_name("declarator")
    if inner is not None:
        return inner
    # Reference and parenthesised declarators do not name their content.
    wanted = (*_DECLARATORS, "identifier", "field_identifier", "qualified_identifier")
    return next((child for child in declarator.named_children if child.type in wanted), None)


def _rank(declarator: Node) -> int:
    rank = 0
    current: Node | None = declarator
    while current is not None and current.type in _DECLARATORS:
        rank += current.type == "array_declarator"
        current = _inner(current)
    return rank


LOOPS = ("for_statement", "while_statement", "do_statement", "for_range_loop")


@dataclass(frozen=True)
class SourceLoop:
    """``label`` is empty where there is none. ``pragmas`` are those that stand directly in the body."""

    node: Node
    label: str
    pragmas: tuple[Node, ...]
    inner: tuple[SourceLoop, ...]


def loops_of(place: Node) -> tuple[SourceLoop, ...]:
    """The outermost loops at or below ``place``, each with those inside it."""
    if place.type in LOOPS:
        return (_loop(place),)
    return tuple(loop for child in children(place) for loop in loops_of(child))


def _loop(node: Node) -> SourceLoop:
    body = node.child_by_field_name("body")
    label = node.parent if node.parent is not None and node.parent.type == "labeled_statement" else None
    inside = () if body is None else tuple(children(body))
    return SourceLoop(
        node=node,
        label="" if label is None else text_of(label.child_by_field_name("label")),
        pragmas=tuple(child for child in inside if child.type == "preproc_call"),
        inner=() if body is None else loops_of(body),
    )


def all_loops(loops: tuple[SourceLoop, ...]) -> Iterator[SourceLoop]:
    for loop in loops:
        yield loop
        yield from all_loops(loop.inner)

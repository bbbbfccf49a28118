"""Macros that expand to nothing in synthesis, such as the marks of timed emulation, are taken out before rules look.

Without this a mark in front of a loop or behind a declaration would be a syntax error, as the parser expands no macros.
"""

from __future__ import annotations

from collections.abc import Iterable

from tree_sitter import Node

from codegen.lint.source import CppSource, descendants, text_of, walk

_DEFINITIONS = ("preproc_def", "preproc_function_def")


def empty_macros(sources: Iterable[CppSource]) -> frozenset[str]:
    """Names that synthesis sees defined without a replacement."""
    return frozenset(
        text_of(node.child_by_field_name("name"))
        for source in sources
        for node in descendants(source.root, *_DEFINITIONS)
        if node.child_by_field_name("value") is None
    )


def without_macros(source: CppSource, names: frozenset[str]) -> str:
    """The text of ``source`` with every use of ``names``, arguments included, replaced by white space."""
    text = bytearray(text_of(source.root).encode())
    for node in walk(source.root):
        if node.child_count == 0 and text_of(node) in names and not _is_defined_here(node):
            end = _end_of_arguments(text, node.end_byte - source.root.start_byte)
            for at in range(node.start_byte - source.root.start_byte, end):
                if text[at] != ord("\n"):
                    text[at] = ord(" ")
    return "\n" * source.root.start_point.row + text.decode()


def _is_defined_here(node: Node) -> bool:
    return node.parent is not None and node.parent.type.startswith("preproc_")


def _end_of_arguments(text: bytearray, start: int) -> int:
    """Just behind the parenthesis that closes a list of arguments at ``start``; ``start`` where there is no list."""
    at = start
    while at < len(text) and chr(text[at]).isspace():
        at += 1
    if at == len(text) or text[at] != ord("("):
        return start
    depth = 0
    while at < len(text):
        depth += (text[at] == ord("(")) - (text[at] == ord(")"))
        at += 1
        if depth == 0:
            return at
    return start

"""``#pragma HLS`` lines of a syntax tree."""

from __future__ import annotations

from dataclasses import dataclass

from tree_sitter import Node

from aebert.timing.hls_pragma import HlsPragma, parse_hls_pragma
from codegen.lint.source import line_of, text_of


@dataclass(frozen=True)
class SourcePragma(HlsPragma):
    """A pragma and the line it stands in."""

    line: int = 0


def read_pragma(node: Node) -> SourcePragma | None:
    """The HLS pragma at a ``preproc_call`` node; None for any other directive."""
    if text_of(node.child_by_field_name("directive")) != "#pragma":
        return None
    found = parse_hls_pragma(text_of(node.child_by_field_name("argument")))
    if found is None:
        return None
    return SourcePragma(found.name, found.options, found.repeated, found.malformed, line_of(node))

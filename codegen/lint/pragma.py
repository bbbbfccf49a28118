"""Reads ``#pragma HLS`` lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tree_sitter import Node

from codegen.lint.source import line_of, text_of

_OPENING, _CLOSING = "([{", ")]}"
_OPERATORS = "+-*/%<>"


@dataclass(frozen=True)
class Pragma:
    """``name`` in capitals; ``options`` in lower case but II, with None where an option has no value."""

    name: str
    options: Mapping[str, str | None]
    line: int
    repeated: tuple[str, ...] = ()
    malformed: str = ""


def read_pragma(node: Node) -> Pragma | None:
    """The HLS pragma at a ``preproc_call`` node; None for any other directive."""
    if text_of(node.child_by_field_name("directive")) != "#pragma":
        return None
    words = _words(text_of(node.child_by_field_name("argument")))
    if not words or words[0].upper() != "HLS":
        return None
    if len(words) == 1:
        return Pragma("", {}, line_of(node), malformed="names no pragma")
    options: dict[str, str | None] = {}
    repeated: list[str] = []
    at = 2
    while at < len(words):
        option = words[at]
        has_value = at + 2 < len(words) and words[at + 1] == "="
        if option == "=" or (at + 1 < len(words) and words[at + 1] == "=" and not has_value):
            return Pragma(words[1].upper(), options, line_of(node), malformed="has an '=' without an option or a value")
        if option in options:
            repeated.append(option)
        if not has_value:
            options[option] = None
            at += 1
            continue
        value, at = _expression(words, at + 2)
        options[option] = value
    return Pragma(words[1].upper(), options, line_of(node), tuple(repeated))


def _expression(words: list[str], at: int) -> tuple[str, int]:
    """The value that begins at ``at``, with white space around its operators taken out, and where the next word is."""
    value = words[at]
    at += 1
    while at < len(words) and (value[-1] in _OPERATORS or words[at][0] in _OPERATORS):
        value += words[at]
        at += 1
    return value, at


def _words(argument: str) -> list[str]:
    """Words and equal signs; white space inside brackets does not part a word."""
    words: list[str] = []
    current = ""
    depth = 0
    for character in argument.replace("\\\n", " "):
        depth += (character in _OPENING) - (character in _CLOSING)
        if depth == 0 and (character.isspace() or character == "="):
            words += [current] if current else []
            words += ["="] if character == "=" else []
            current = ""
        else:
            current += character
    return [*words, current] if current else words

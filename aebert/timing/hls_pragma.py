"""The text of an HLS pragma: its name and options, for the lint and for timed emulation alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_OPENING, _CLOSING = "([{", ")]}"
_OPERATORS = "+-*/%<>"


@dataclass(frozen=True)
class HlsPragma:
    """``name`` in capitals; ``options`` as they are spelt, with None where one has no value.

    ``repeated``: options that stand there twice. ``malformed``: what is wrong with the rest, if anything.
    """

    name: str
    options: Mapping[str, str | None]
    repeated: tuple[str, ...] = ()
    malformed: str = ""


def parse_hls_pragma(argument: str) -> HlsPragma | None:
    """From what follows ``#pragma``; None for a pragma of somebody else."""
    words = _words(argument)
    if not words or words[0].upper() != "HLS":
        return None
    if len(words) == 1:
        return HlsPragma("", {}, malformed="names no pragma")
    options: dict[str, str | None] = {}
    repeated: list[str] = []
    at = 2
    while at < len(words):
        option = words[at]
        has_value = at + 2 < len(words) and words[at + 1] == "="
        if option == "=" or (at + 1 < len(words) and words[at + 1] == "=" and not has_value):
            return HlsPragma(words[1].upper(), options, malformed="has an '=' without an option or a value")
        if option in options:
            repeated.append(option)
        if not has_value:
            options[option] = None
            at += 1
            continue
        value, at = _expression(words, at + 2)
        options[option] = value
    return HlsPragma(words[1].upper(), options, tuple(repeated))


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

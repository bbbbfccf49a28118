"""Text that may stand in generated files: one line, and nothing in it that a terminal or a tool would act on."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator


def is_plain(text: str) -> bool:
    """Whether ``text`` has printable characters only: no line breaks (of any kind), escapes or direction marks."""
    return text.isprintable()


def _check(text: str) -> str:
    if not is_plain(text):
        raise ValueError(f"{text!r} holds a line break or another control character")
    return text


PlainText = Annotated[str, AfterValidator(_check)]


def for_xml(text: str) -> str:
    """``text`` with what XML 1.0 (section 2.2) cannot hold written out, as in ``\\x00``."""
    return "".join(character if _in_xml(character) else repr(character)[1:-1] for character in text)


def _in_xml(character: str) -> bool:
    return character in "\t\n" or (
        unicodedata.category(character) not in ("Cc", "Cs") and character not in "\ufffe\uffff"
    )

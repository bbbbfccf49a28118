"""One spelling per device: ``xc7z020clg400-1`` (Vivado HLS), ``7z020-clg400`` (Vivado) and ``xc7z020-clg400-1``."""

from __future__ import annotations

import re

_PART = re.compile(
    r"(?P<brand>x[acq])?(?P<device>[a-z]*[0-9][0-9a-z]*?)-?(?P<package>(?:[a-z]{2,4})\d{3,4})(?P<grade>-[0-9a-z-]+)?"
)
_BRANDED = re.compile(r"x[acq][0-9a-z]+")
_SPEED = re.compile(r"-\d[A-Za-z]*")


def part_name(text: str | None, speed: str | None = None) -> str | None:
    """``text`` as the tools' part lists spell it, lower-case, with ``speed`` ("-1  PRODUCTION ...") where the name has
    no grade of its own. What does not look like a part (a platform, a bare device) stays as it is."""
    if text is None or not text.strip():
        return None
    word = text.strip()
    match = _PART.fullmatch(word.lower())
    if match is None:
        return word.lower() if _BRANDED.fullmatch(word.lower()) else word
    grade = match["grade"] or ""
    if not grade and speed is not None and (found := _SPEED.match(speed.strip())):
        grade = found[0].lower()
    return f"{match['brand'] or 'xc'}{match['device']}-{match['package']}{grade}"


def same_part(one: str, other: str) -> bool:
    """Whether two names can be one device: a report may leave package and grade out."""
    short, long = sorted((part_name(one) or "", part_name(other) or ""), key=len)
    return long == short or long.startswith(f"{short}-")

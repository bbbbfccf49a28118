"""What the module's constant tables hold, as bytes."""

from __future__ import annotations

import re

from aebert.support.errors import AebertError

_PART = re.compile(
    r'c"(?P<text>[^"]*)"|\[(?P<count>\d+) x i(?P<bits>\d+)\] zeroinitializer|'
    r"i(?P<width>\d+) (?P<value>-?\d+)(?=[,\] }>]|$)"
)
_CHARACTER = re.compile(r"\\([0-9A-Fa-f]{2})|(\\\\)|([^\\])")


def table_bytes(module: str, name: str, size: int) -> bytes:
    """Content of the constant ``name`` (with its @) of ``size`` bytes. Raises AebertError if it is not understood."""
    start = f"{name} = "
    line = next((each for each in module.splitlines() if each.startswith(start)), None)
    if line is None:
        raise AebertError(f"constant table {name}: is not in the module")
    content = bytearray()
    for found in _PART.finditer(line.partition(" constant ")[2].rpartition(", align")[0]):
        if found["text"] is not None:
            content += _text_bytes(found["text"])
        elif found["count"] is not None:
            content += bytes(int(found["count"]) * (int(found["bits"]) // 8))
        else:
            bits = int(found["width"])
            content += (int(found["value"]) % (1 << bits)).to_bytes(bits // 8, "little")
    if len(content) != size:
        raise AebertError(f"constant table {name}: {len(content)} bytes were read of {size}; please report the project")
    return bytes(content)


def _text_bytes(text: str) -> bytes:
    return bytes(
        int(hexadecimal, 16) if hexadecimal else ord("\\") if backslash else ord(plain)
        for hexadecimal, backslash, plain in _CHARACTER.findall(text)
    )

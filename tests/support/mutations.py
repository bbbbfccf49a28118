"""Files made wrong, at random and on purpose: what a stranger, a full disk or a bad day may do to an input."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

NASTY_TEXT = (
    "",
    " ",
    "\n[x]\ny=1",
    "\x00",
    "\x1b[2J",
    "../../victim",
    "/etc/passwd",
    "\udcff",
    "é" * 300,
    "x" * 100_000,
    "9" * 5000,
    "(" * 5000,
)
NASTY_NUMBERS = (0, -1, 1, 2**31, -(2**63), 10**30, 1e308, -1e308, 0.5, float("nan"), float("inf"))
NASTY: tuple[object, ...] = (None, True, [], {}, [[]], {"": {}}, *NASTY_TEXT, *NASTY_NUMBERS)
_DEEP = "[" * 5000 + "]" * 5000
_TOML_VALUES = (
    "1",
    "-1",
    "1e308",
    "nan",
    "9" * 40,
    "9" * 5000,
    '""',
    '"a\\nb"',
    '"\\u0000"',
    "[]",
    "{}",
    "true",
    "x",
    "=",
)


def mutate(path: Path, random: Random) -> str:
    """Makes the file at ``path`` wrong in one way or a few; says how."""
    kinds: list[Callable[[Path, Random], str]] = [_bytes, _bytes, _kind_of_file]
    if path.suffix == ".json":
        kinds += [_json] * 5
    if path.suffix == ".toml":
        kinds += [_lines] * 5
    if path.suffix in (".txt", ".tsv", ".csv", ".jsonl", ".rpt", ".xml", ".cpp", ".h"):
        kinds += [_lines] * 2
    return random.choice(kinds)(path, random)


def _bytes(path: Path, random: Random) -> str:
    content = bytearray(path.read_bytes())
    how = random.choice(("flip", "cut", "insert", "repeat", "empty", "noise", "zero"))
    at = random.randrange(len(content) + 1)
    match how:
        case "flip":
            for _ in range(random.choice((1, 1, 8, 64))):
                if content:
                    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        case "cut":
            del content[at:]
        case "insert":
            content[at:at] = random.randbytes(random.choice((1, 8, 1000)))
        case "repeat":
            content = content[:at] * random.choice((2, 10)) + content[at:]
        case "empty":
            content.clear()
        case "noise":
            content = bytearray(random.randbytes(200))
        case "zero":
            content[at : at + 64] = bytes(64)
    path.write_bytes(content)
    return f"{how} at {at}"


def _json(path: Path, random: Random) -> str:
    document: object = json.loads(path.read_text())
    holder, key = _place(document, random)
    if holder is None:
        path.write_text(random.choice(("[]", "1", "null", '"x"', _DEEP)))
        return "another document"
    value = random.choice(NASTY)
    if random.random() < 0.2:
        del holder[key]
        how = f"no {key!r}"
    else:
        holder[key] = value
        how = f"{key!r} = {value!r:.40}"
    path.write_text(json.dumps(document))
    return how


def _place(document: Any, random: Random) -> tuple[Any, Any]:
    """A random key or index somewhere in ``document``, nearer to the top more often."""
    holder, key = None, None
    value = document
    while isinstance(value, dict | list) and value and (holder is None or random.random() < 0.6):
        holder = value
        key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
        value = value[key]
    return holder, key


def _lines(path: Path, random: Random) -> str:
    lines = path.read_text(errors="replace").split("\n")
    at = random.randrange(len(lines))
    how = random.choice(("drop", "double", "value", "long", "swap", "deep", "number"))
    match how:
        case "drop":
            del lines[at]
        case "double":
            lines.insert(at, lines[at])
        case "value":
            lines[at] = lines[at].partition("=")[0] + "= " + random.choice(_TOML_VALUES)
        case "long":
            lines[at] = lines[at] + "9" * 10_000
        case "deep":
            lines[at] += random.choice(("(", "[", "{", "<a>", "!", "\n#if 1\n")) * 5000
        case "number":
            number = random.choice(("9" * 30, "9" * 5000, "08", "1.5", "-1"))
            lines[at] = re.sub(r"\d+", number, lines[at], count=1)
        case "swap":
            other = random.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
    path.write_text("\n".join(lines))
    return f"{how} line {at}"


def _kind_of_file(path: Path, random: Random) -> str:
    path.unlink()
    how = random.choice(("absent", "fifo", "folder", "link", "dangling", "device"))
    match how:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to("/etc/passwd")
        case "dangling":
            path.symlink_to("nowhere")
        case "device":
            path.symlink_to("/dev/zero")
    return how


def restore(path: Path, content: bytes) -> None:
    """The file as it was, whatever it has become."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)
    path.write_bytes(content)

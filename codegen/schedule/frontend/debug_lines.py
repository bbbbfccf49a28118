"""Source lines of instructions, out of the metadata at the end of a module's text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from codegen.schedule.frontend.ir import SourceLine

_NODE = re.compile(r"^!(?P<number>\d+) = (?:distinct )?!(?P<kind>DI\w+)\((?P<fields>.*)\)$")
_REFERENCE = re.compile(r"\b(?P<name>scope|file|inlinedAt): !(?P<number>\d+)")
_LINE = re.compile(r"\bline: (\d+)")
_FILE = re.compile(r'\bfilename: "([^"]*)"')


def parse_lines(text: Iterable[str]) -> Mapping[int, SourceLine]:
    """Debug number of each location -> its file (without folders) and line."""
    nodes = {int(found["number"]): found for line in text if line.startswith("!") and (found := _NODE.match(line))}
    references = {
        number: {each["name"]: int(each["number"]) for each in _REFERENCE.finditer(found["fields"])}
        for number, found in nodes.items()
    }
    known: dict[int, SourceLine] = {}

    def file_of(number: int) -> str:
        while number in nodes and "file" not in references[number]:
            if name := _FILE.search(nodes[number]["fields"]):
                return name[1].rpartition("/")[2]
            number = references[number].get("scope", -1)
        return file_of(references[number]["file"]) if number in nodes else "?"

    def location(number: int) -> SourceLine:
        if number not in known:
            found = nodes[number]
            line = _LINE.search(found["fields"])
            outer = references[number].get("inlinedAt")
            known[number] = SourceLine(
                file_of(references[number]["scope"]),
                int(line[1]) if line else 0,
                None if outer is None else location(outer),
            )
        return known[number]

    for number, found in nodes.items():
        if found["kind"] == "DILocation":
            location(number)
    return known

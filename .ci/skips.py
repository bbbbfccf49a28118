"""Fails when a test was skipped, or expected to fail, for a reason that is not on the list of allowed ones."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from xml.etree import ElementTree


def skipped(report: Path) -> list[tuple[str, str]]:
    """(test, reason) of every skipped test in a JUnit report."""
    found = []
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        for skip in case.iter("skipped"):
            reason = skip.get("message") or ""
            if reason == "collection skipped":
                # A module skipped at collection: the text is the tuple (file, line, "Skipped: reason").
                reason = str(ast.literal_eval(skip.text or "('', 0, '')")[2]).removeprefix("Skipped: ")
            found.append((f"{case.get('classname')}::{case.get('name')}", reason))
    return found


def main(report: str, allowed_file: str) -> int:
    lines = [line.strip() for line in Path(allowed_file).read_text().splitlines()]
    allowed = [re.compile(line) for line in lines if line and not line.startswith("#")]
    skips = skipped(Path(report))
    refused = [(test, reason) for test, reason in skips if not any(entry.fullmatch(reason) for entry in allowed)]
    print(f"{len(skips)} skipped, {len(skips) - len(refused)} of them for an allowed reason")
    for test, reason in refused:
        print(f"not allowed: {test}: {reason}", file=sys.stderr)
    return 1 if refused else 0


sys.exit(main(*sys.argv[1:]))

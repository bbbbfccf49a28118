"""What a line of a Vitis log says about how far the tool is."""

from __future__ import annotations

import re

# hls.tcl announces its steps; Vitis HLS names each function it schedules, co-simulation each transaction it finishes.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^aebert: step (\w+)"), r"\1"),
    (re.compile(r"^INFO: \[HLS 200-42\] -- Implementing module '(\w+)'"), r"schedule \1"),
    (re.compile(r"^INFO: \[RTGEN 206-100\] Finished creating RTL model for '(\w+)'"), r"RTL of \1"),
    (re.compile(r"^// RTL Simulation : (\d+) / (\d+)"), r"RTL simulation: transaction \1 of \2"),
    (re.compile(r"^INFO: \[COSIM 212-1000\] \*\*\* (.*?) \*\*\*"), r"\1"),
    (re.compile(r"^INFO: \[SIM 211-1\] (CSim done with \d+ errors)"), r"\1"),
    # Results go back to the engine (docs/architecture.md).
    (re.compile(r"^\w+: \[HLS 200-657\]"), "a channel flows backwards, as it is meant to"),
    # v++ --link: "[12:34:56] Run vpl: Step synth: Started", "Finished 2nd of 6 tasks (FPGA logic placement). ..."
    (re.compile(r"^(?:INFO: \[v\+\+ 60-\d+\] )?\[\d\d:\d\d:\d\d\] Run \w+: Step (\w+): (\w+)"), r"\1: \2"),
    (re.compile(r"^\[\d\d:\d\d:\d\d\] Finished (\S+ of \d+ tasks \([^)]*\))"), r"finished \1"),
    (re.compile(r"^\[\d\d:\d\d:\d\d\] (Block-level synthesis in progress, \d+ of \d+ jobs complete)"), r"\1"),
)


def progress_of(line: str) -> str | None:
    """A few words for the person waiting; None for a line that marks no progress."""
    for pattern, words in _PATTERNS:
        found = pattern.match(line)
        if found is not None:
            return found.expand(words)
    return None
